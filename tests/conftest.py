import os
from pathlib import Path

import pytest
import torch

torch.set_num_threads(min(2, torch.get_num_threads()))  # as OMP_NUM_THREADS says


@pytest.fixture(scope="session")
def shared_data():
    """Folder of the real scans; tests that need it are skipped where it is missing."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("VOLTWEEN_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"real scans are not at {folder} (set VOLTWEEN_SHARED_DATA)")
    return folder
