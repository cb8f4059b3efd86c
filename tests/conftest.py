import os
from pathlib import Path

import pytest
import torch

NATIVE = (
    "ops",
    "losses",
    "spatial",
)  # folders of tests that reach the native operations

torch.set_num_threads(min(2, torch.get_num_threads()))  # as OMP_NUM_THREADS says


def pytest_configure(config):
    """Name the marker by which `make test-instructions` chooses."""
    config.addinivalue_line("markers", "native: of modules with native operations")


def pytest_collection_modifyitems(items):
    """Mark the tests of packages whose results come from native operations."""
    for item in items:
        if item.path.parent.name in NATIVE:
            item.add_marker("native")


@pytest.fixture(scope="session")
def shared_data():
    """Folder of the real scans; tests that need it are skipped where it is missing."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("VOLTWEEN_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"real scans are not at {folder} (set VOLTWEEN_SHARED_DATA)")
    return folder
