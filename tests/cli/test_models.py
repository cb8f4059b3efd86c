"""The list of the models, as it is printed."""

import pytest

from support.commands import run_here


@pytest.fixture(name="facts")
def facts_fixture(monkeypatch, tmp_path, capsys):
    """What `voltween models` prints of every model, by its name, in one line."""
    monkeypatch.setenv("VOLTWEEN_MODELS", str(tmp_path))
    assert run_here("models") == 0
    found, name = {}, ""
    for line in capsys.readouterr().out.splitlines():
        cells = [cell.strip() for cell in line.strip("│┃ ").split("│")]
        name = cells[0] if len(cells) > 1 and cells[0] else name
        found[name] = found.get(name, "") + cells[-1] + " "
    return found


@pytest.mark.parametrize("name", ["brain", "brain-any", "headneck"])
def test_steps_after_an_earlier_training_are_told_as_such(facts, name):
    assert "steps after earlier training" in facts[name]


@pytest.mark.parametrize("name", ["hippocampus", "features brain"])
def test_the_steps_of_a_training_from_nothing_are_all_steps(facts, name):
    assert "scans, " in facts[name]
    assert "earlier training" not in facts[name]
