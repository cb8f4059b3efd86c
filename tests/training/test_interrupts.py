"""An interrupted training keeps the step that it was in, and goes on from there."""

import signal
from dataclasses import replace

import pytest

from support.processes import no_signals_ignored
from support.training import CONFIG, LAST, assert_equal, run
from voltween.process import stopping_at_signals


@pytest.fixture(autouse=True)
def no_signals_ignored_fixture():
    with no_signals_ignored():
        yield


def interrupt_at(step, number=signal.SIGINT):
    """An observer of a run that interrupts it after a step."""

    def observe(report):
        if report.step == step:
            signal.raise_signal(number)

    return observe


def interrupted(manifest, out, step, config=CONFIG):
    """Runs until a signal comes in a step, as the command does."""
    with stopping_at_signals(ends_process=False):
        run(manifest, out, config, interrupt_at(step))


@pytest.mark.parametrize("step", [3, 4])
def test_the_state_of_the_step_is_kept_and_gone_on_from(
    step, manifest, whole, tmp_path
):
    """Step 3 has no validation, step 4 has one."""
    with pytest.raises(SystemExit) as caught:
        interrupted(manifest, tmp_path, step)
    assert caught.value.code == 130
    states = sorted(path.name for path in tmp_path.glob("state-*"))
    assert states[-1] == f"state-{step:08d}.safetensors"
    steps = []
    run(manifest, tmp_path, on_step=lambda report: steps.append(report.step))
    assert steps == list(range(step + 1, CONFIG.steps + 1))
    assert_equal(tmp_path / LAST, whole / LAST)
    assert_equal(tmp_path / "best.safetensors", whole / "best.safetensors")
    rows = (tmp_path / "log.csv").read_text().splitlines()
    assert rows == (whole / "log.csv").read_text().splitlines()


def test_before_the_first_validation_there_is_a_state_too(manifest, tmp_path):
    config = replace(CONFIG, validate_every=6)
    with pytest.raises(SystemExit):
        interrupted(manifest, tmp_path, 1, config)
    assert (tmp_path / "state-00000001.safetensors").exists()
    assert not (tmp_path / "best.safetensors").exists()


def test_a_program_gets_the_interrupt(manifest, tmp_path):
    """A call from Python ends as any interrupted call does."""
    with pytest.raises(KeyboardInterrupt):
        run(manifest, tmp_path, on_step=interrupt_at(1))
    assert (tmp_path / "state-00000001.safetensors").exists()
