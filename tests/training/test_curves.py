"""Curves of runs: what is drawn from their tables."""

import numpy as np
import pytest

from voltween.errors import InputError
from voltween.training import curves_figure


def write_run(folder, losses, dice=(), correlation=()):
    """A run of two loss terms, the second 1, validated at every second step."""
    folder.mkdir(parents=True)
    rows = [f"{n},{loss},1" for n, loss in enumerate(losses, 1)]
    (folder / "log.csv").write_text("\n".join(["step,a,b", *rows]) + "\n")
    rows = ["step,stage,dice,correlation"]
    for measure, form in ((dice, "{},{},{},"), (correlation, "{},{},,{}")):
        for n, value in enumerate(measure, 1):
            rows.append(form.format(2 * n, "before", 0.1))
            rows.append(form.format(2 * n, "dense 1", value))
    (folder / "validation.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_both_runs_have_their_sum_of_losses_and_first_and_last_stage(tmp_path):
    one = write_run(tmp_path / "one", [3, 2, 1, 0.5], dice=[0.4, 0.5])
    two = write_run(tmp_path / "two", [5, 5, 4, 4], dice=[0.6, 0.7])
    left, right = curves_figure([one, two]).axes
    assert [line.get_label() for line in left.lines] == ["one", "two"]
    assert list(left.lines[0].get_ydata()) == [4, 3, 2, 1.5]
    assert list(left.lines[1].get_xdata()) == [1, 2, 3, 4]
    shown = [list(line.get_ydata()) for line in right.lines]
    assert shown == [[0.4, 0.5], [0.1, 0.1], [0.6, 0.7], [0.1, 0.1]]
    one, one_before, two, two_before = (line.get_color() for line in right.lines)
    assert one == one_before == left.lines[0].get_color()
    assert two == two_before == left.lines[1].get_color() != one
    assert right.get_ylabel().startswith("validation Dice,")


def test_losses_are_running_means_of_a_fiftieth_of_the_steps(tmp_path):
    values = np.arange(100.0)
    left, _ = curves_figure([write_run(tmp_path / "one", values)]).axes
    means = left.lines[0].get_ydata()
    assert means[0] == 1
    np.testing.assert_allclose(means[1:], values[1:] + 1 - 0.5)


def test_correlation_is_shown_where_there_is_no_dice_and_both_are_named(tmp_path):
    one = write_run(tmp_path / "one", [3, 2], dice=[0.4])
    two = write_run(tmp_path / "two", [3, 2], correlation=[0.8])
    _, right = curves_figure([one, two]).axes
    assert list(right.lines[2].get_ydata()) == [0.8]
    assert right.get_ylabel().startswith("validation Dice or correlation,")


def test_runs_of_one_name_are_told_apart_by_their_folders(tmp_path):
    runs = [write_run(tmp_path / name / "run", [1]) for name in "ab"]
    left, _ = curves_figure(runs).axes
    assert [line.get_label() for line in left.lines] == [str(run) for run in runs]


def test_a_run_not_yet_validated_has_its_losses_alone(tmp_path):
    run = write_run(tmp_path / "one", [3, 2])
    (run / "validation.csv").unlink()
    left, right = curves_figure([run]).axes
    assert len(left.lines) == 1
    assert len(right.lines) == 0
    assert "nothing measured" in right.get_ylabel()


def test_no_runs_are_refused():
    with pytest.raises(
        InputError, match="curves: expected the folder of a training run"
    ):
        curves_figure([])


@pytest.mark.parametrize("log", ["epoch,a\n1,2\n", "step,a\none,2\n", "step,a\n1,b\n"])
def test_a_table_of_another_kind_is_no_training_log(log, tmp_path):
    (tmp_path / "log.csv").write_text(log)
    with pytest.raises(InputError, match=r"log.csv: expected the log of a training"):
        curves_figure([tmp_path])


@pytest.mark.parametrize("name", ["log.csv", "validation.csv"])
def test_a_picture_is_no_table(name, tmp_path):
    write_run(tmp_path / "run", [1])
    (tmp_path / "run" / name).write_bytes(b"\x89PNG\r\n\x1a\n\x00\xff")
    with pytest.raises(InputError, match=f"{name}: expected a table .* another kind"):
        curves_figure([tmp_path / "run"])


@pytest.mark.parametrize(
    "table",
    [
        "epoch,stage,dice,correlation\n1,before,0.1,\n",
        "step,stage\n1,before\n",
        "step,stage,dice,correlation\n1,before,good,\n",
        "a picture\n\x1b\n",
    ],
)
def test_a_table_of_another_kind_is_no_validation(table, tmp_path):
    write_run(tmp_path / "run", [1])
    (tmp_path / "run" / "validation.csv").write_text(table)
    with pytest.raises(InputError, match=r"validation.csv: expected the validation"):
        curves_figure([tmp_path / "run"])


def test_a_folder_without_a_log_is_no_run(tmp_path):
    with pytest.raises(InputError, match=r"log\.csv: expected a file"):
        curves_figure([tmp_path / "nothing"])
