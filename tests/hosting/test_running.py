"""A registration in a process of its own, as its host sees it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import voltween
from support.hosting import RECORD, STEP, done, pretender
from voltween.hosting import Progress, Request, start


def running(tmp_path, body):
    request = Request(tmp_path / "f.nrrd", tmp_path / "m.nrrd", tmp_path / "out")
    return start(request, python=pretender(tmp_path, body))


def ended(process):
    """The outcome by polling, as a timer does."""
    for _ in range(1000):
        if (outcome := process.poll()) is not None:
            return outcome
        time.sleep(0.02)
    raise TimeoutError


def test_steps_warnings_and_the_record_arrive(tmp_path):
    body = [f"say('{STEP}')", 'say(\'{"warning": "odd"}\')', *done(RECORD)]
    process = running(tmp_path, body)
    assert process.progress == Progress("Preparing ...", 0.0)
    outcome = ended(process)
    assert outcome.record["model"] == "brain"
    assert outcome.warnings == ("odd",)
    assert outcome.error == ""
    assert outcome.summary == (
        "Verdict: good (nothing speaks against it). Model: brain. Correlation 0.500 "
        "before, 0.900 after. Folding: 0 % of the voxels."
    )
    assert process.progress.share == 1.0
    assert process.poll() == outcome  # as often as one likes


def test_a_step_is_a_share_and_a_line(tmp_path):
    process = running(tmp_path, [f"say('{STEP}')", "sys.stdin.read()"])
    while process.progress.share == 0:
        assert process.poll() is None
        time.sleep(0.02)
    assert process.progress.share == pytest.approx(0.5 + 0.25 / 2)
    assert process.progress.text == "Refining: dense, level 1 of 2, step 5 of 10"
    process.stop()
    outcome = ended(process)
    assert outcome.record is None
    assert outcome.summary == "Stopped; nothing was written."


WRITING = f"""\
#!{sys.executable}
import sys, time
sys.path.insert(0, {str(Path(voltween.__file__).parents[1])!r})
from voltween import batches
from voltween.hosting.child import main
from voltween.refinement import Step
from voltween.storage import whole_folder

def write(job, out, *, on_step, **_):
    with whole_folder(out, names=["moved.nii.gz"], last="registration.json") as folder:
        (folder / "moved.nii.gz").write_text("half of it")
        on_step(Step("dense", 1, 1, 1, 2, 0.5))
        time.sleep(60)

batches.register_files = write
main()
"""


@pytest.mark.parametrize("end", ["stopped", "left alone"])
def test_a_process_that_is_ended_leaves_nothing_unfinished(end, tmp_path):
    python = tmp_path / "python"
    python.write_text(WRITING)
    python.chmod(0o755)
    request = Request(tmp_path / "f.nrrd", tmp_path / "m.nrrd", tmp_path / "out")
    process = start(request, python=str(python))
    while process.progress.share == 0:
        assert process.poll() is None
        time.sleep(0.02)
    if end == "stopped":
        process.stop()
    else:  # as when the host dies
        process.process.stdin.close()
    outcome = process.wait()
    assert outcome.record is None
    assert "Traceback" not in outcome.error
    assert [path.name for path in tmp_path.iterdir()] == ["python"]


def test_an_error_is_one_line(tmp_path):
    body = ['say(\'{"error": "f.nrrd: expected a file"}\')', "sys.exit(2)"]
    outcome = running(tmp_path, body).wait()
    assert outcome.error == outcome.summary == "f.nrrd: expected a file"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (["os.kill(os.getpid(), 9)"], "ended with code -9: it said nothing"),
        (["print('no memory', file=sys.stderr)", "sys.exit(3)"], "3: no memory"),
        (["print('half a li')", "sys.exit(4)"], "4: half a li"),
        (["say('17')", "sys.exit(5)"], "5: it said nothing"),
    ],
)
def test_a_process_that_dies_is_told(tmp_path, body, message):
    assert message in running(tmp_path, body).wait().error


def test_a_missing_python_is_an_error_at_once(tmp_path):
    request = Request(tmp_path / "f", tmp_path / "m", tmp_path / "out")
    with pytest.raises(OSError, match="no-python"):
        start(request, python=str(tmp_path / "no-python"))


def test_the_host_needs_neither_pytorch_nor_itk(tmp_path):
    code = "import sys, voltween.hosting; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"torch", "SimpleITK", "numpy"} & set(done.stdout.split())


def test_the_process_names_what_it_cannot_read(tmp_path):
    request = Request(tmp_path / "f.nrrd", tmp_path / "m.nrrd", tmp_path / "out")
    outcome = start(request, environment=os.environ).wait()
    assert "f.nrrd" in outcome.error
    assert "expected" in outcome.error
    assert not (tmp_path / "out").exists()
