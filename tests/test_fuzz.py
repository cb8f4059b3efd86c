"""A few mutants per reader; `make fuzz` reads thousands (docs/reliability.md)."""

import pytest

from fuzz.campaign import Campaign
from fuzz.subjects import BY_NAME

SEEDS = range(2)


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    with Campaign(tmp_path_factory.mktemp("fuzz")) as running:
        yield running


@pytest.mark.parametrize("reader", BY_NAME)
def test_mutants_are_read_rightly_or_refused(campaign, reader):
    outcomes = [campaign.run(reader, seed) for seed in SEEDS]
    assert [str(outcome) for outcome in outcomes if outcome.is_fault] == []
