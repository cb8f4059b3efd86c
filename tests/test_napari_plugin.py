"""The tests of the napari plugin, in a process of their own with napari's fixtures.

napari's plugin of pytest is switched off in this process: its imports give warnings,
which are errors here. A viewer needs OpenGL, and so a display: that of Xvfb will do.
"""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "integrations" / "napari"
IN_A_VIEWER = {"test_layers": False, "test_tweening": False, "test_widget": True}
NEEDED = ("napari", "pytestqt")


def test_every_module_of_its_tests_is_run():
    names = {path.stem for path in (FOLDER / "tests").glob("test_*.py")}
    assert names == set(IN_A_VIEWER)


@pytest.mark.parametrize("module", IN_A_VIEWER)
def test_the_plugin_passes_its_tests(module):
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)}: pip install 'napari[pyqt6]' pytest-qt")
    display = _display() if IN_A_VIEWER[module] else []
    source = Path(__file__).parents[1] / "src"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(source), os.environ.get("PYTHONPATH", "")]),
    }
    if not IN_A_VIEWER[module]:
        environment["QT_QPA_PLATFORM"] = "offscreen"
    tests = [sys.executable, "-m", "pytest", "-q", "-W", "ignore", f"tests/{module}.py"]
    done = subprocess.run(
        [*display, *tests],
        cwd=FOLDER,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def _display():
    """The words before a command that needs a display; skips without any."""
    if os.environ.get("DISPLAY"):
        return []
    if shutil.which("xvfb-run") is None:
        pytest.skip("no display: apt-get install xvfb libgl1-mesa-dri libxcb-cursor0")
    return ["xvfb-run", "-a", "-s", "-screen 0 1400x1000x24"]
