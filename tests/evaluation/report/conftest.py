import pytest

from support.scores import scores_of_four_methods


@pytest.fixture(name="scores", scope="session")
def scores_fixture():
    """Six pairs of four methods: one pair failed, one method cannot run."""
    return scores_of_four_methods()
