import os
from collections import Counter
from pathlib import Path

import pytest
import torch

from support.browser import chromium

NATIVE = ("ops", "losses", "spatial")  # test folders that reach native operations

torch.set_num_threads(min(2, torch.get_num_threads()))  # as OMP_NUM_THREADS says


def pytest_configure(config):
    """Name the marker by which `make test-instructions` chooses."""
    config.addinivalue_line("markers", "native: of modules with native operations")
    config.addinivalue_line("markers", "kills: of commands killed at random moments")
    config.addinivalue_line("markers", "slurm: with a Slurm on this machine, as root")
    config.addinivalue_line("markers", "gpu: on a CUDA device; see runs/gpu.sh")
    config.addinivalue_line("markers", "browser: of pages in headless Chromium")


def pytest_collection_modifyitems(items):
    """Mark the tests of packages whose results come from native operations."""
    for item in items:
        if item.path.parent.name in NATIVE:
            item.add_marker("native")


def pytest_terminal_summary(terminalreporter):
    """Say in one line how often which command was killed by which signal."""
    reports = {n: terminalreporter.stats.get(n, []) for n in ("passed", "failed")}
    kills = Counter(
        value
        for report in reports["passed"]
        for name, value in report.user_properties
        if name == "kill"
    )
    lost = sum("test_kills" in report.nodeid for report in reports["failed"])
    if kills or lost:
        counts = ", ".join(f"{name} {count}" for name, count in sorted(kills.items()))
        terminalreporter.write_line(
            f"kills: {kills.total() + lost}, {lost} with something lost or mixed "
            f"({counts})"
        )


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium; tests that need it are skipped where it is missing."""
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="session")
def shared_data():
    """Folder of the real scans; tests that need it are skipped where it is missing."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("VOLTWEEN_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"real scans are not at {folder} (set VOLTWEEN_SHARED_DATA)")
    return folder
