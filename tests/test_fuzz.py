"""A few mutants per reader; `make fuzz` reads thousands (docs/reliability.md)."""

from pathlib import Path

import pytest

from fuzz.campaign import FAULTS, Campaign, Child, ChildDiedError, Outcome, table
from fuzz.mutants import make_mutant
from fuzz.subjects import BY_NAME

SEEDS = range(2)
PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    with Campaign(tmp_path_factory.mktemp("fuzz")) as running:
        yield running


@pytest.mark.parametrize("reader", BY_NAME)
def test_mutants_are_read_rightly_or_refused(campaign, reader):
    outcomes = [campaign.run(reader, seed) for seed in SEEDS]
    assert [str(outcome) for outcome in outcomes if outcome.is_fault] == []


def test_a_seed_gives_the_same_mutant_again(tmp_path):
    subject = BY_NAME["points .csv"]
    name = subject.write(tmp_path)
    files = {name: (tmp_path / name).read_bytes()}
    one, again = (make_mutant(subject, files, name, 7) for _ in range(2))
    assert one == again
    assert len({make_mutant(subject, files, name, n).what for n in range(20)}) > 15


def test_damage_that_is_read_is_a_fault(campaign):
    reply = {"kind": "read", "told": [], "is_damage": True, "rival": ""}
    assert campaign._judge(reply)[0] == "silent"
    assert campaign._judge(reply | {"told": ["a warning"]})[0] == "told"
    assert campaign._judge(reply | {"is_damage": False})[0] == "other"


def test_a_process_that_does_not_answer_is_ended(tmp_path):
    child = Child("rival", tmp_path)
    child._start()
    process = child.process
    with pytest.raises(ChildDiedError) as caught:
        child.receive(0.1)
    assert caught.value.args[0] == "hang"
    assert process.poll() is not None


def test_the_table_counts_every_outcome():
    kinds = ("same", "refused", "refused", "silent")
    outcomes = [Outcome("a", n, kind, "") for n, kind in enumerate(kinds)]
    last = [cell.strip() for cell in table(outcomes).splitlines()[-1].split("|")]
    assert last[1:-1] == ["all", "4", "1", "0", "0", "0", "2", "0", "0", "0", "0", "1"]


def test_the_page_shows_the_columns_and_readers_of_the_table():
    shown = (
        PAGE.read_text("utf-8")
        .split("<!-- fuzz -->")[1]
        .split("<!-- end of fuzz -->")[0]
    )
    assert table([]).splitlines()[0] in shown
    for reader in BY_NAME:
        assert f"| {reader} |" in shown
    assert all(fault in shown for fault in FAULTS)
