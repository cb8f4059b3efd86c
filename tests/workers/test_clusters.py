"""Local workers that end for good, and settings that let them come back."""

from types import SimpleNamespace

import pytest

from voltween.errors import InputError
from voltween.workers.clusters import _check_workers


def cluster(*states):
    nannies = [SimpleNamespace(status=SimpleNamespace(name=state)) for state in states]
    return SimpleNamespace(workers=dict(enumerate(nannies)))


def test_a_worker_that_lives_or_starts_is_enough():
    _check_workers(cluster("closed", "running"))
    _check_workers(cluster("starting"))


@pytest.mark.parametrize("states", [(), ("closed", "failed")])
def test_without_any_worker_the_run_ends(states):
    with pytest.raises(InputError, match="repeat the command to continue"):
        _check_workers(cluster(*states))
