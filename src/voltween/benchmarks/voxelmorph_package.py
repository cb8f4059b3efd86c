"""The networks of the optional `voxelmorph` package (PyTorch).

Install it by `pip install 'voltween[bench]'`.

References:
    Balakrishnan et al. 2019, VoxelMorph: A Learning Framework for Deformable Medical
    Image Registration, doi:10.1109/TMI.2019.2897538.
"""

from typing import Any, Literal

from voltween import process
from voltween.networks import VOXELMORPH_2_FEATURES, build_voxelmorph

VoxelMorphName = Literal["VoxelMorph", "VoxelMorph-2"]

VOXELMORPH_MULTIPLE = 32
"""Sides must be multiples of this number of voxels: 5 levels."""

# Features of every level and steps of integration. "VoxelMorph" has the package's
# defaults; VoxelMorph-2 predicts the flow directly.
SETTINGS: dict[VoxelMorphName, tuple[tuple[int, ...], int]] = {
    "VoxelMorph": ((16, 16, 16, 16, 16), 5),
    "VoxelMorph-2": (VOXELMORPH_2_FEATURES, 0),
}


def installed_version() -> str | None:
    """Version of the package; None if it cannot be imported."""
    try:
        import voxelmorph  # noqa: F401
    except ImportError:
        return None
    return process.installed_version("voxelmorph")


def voxelmorph_network(name: VoxelMorphName) -> Any:
    """Returns the network of the settings `name`, called with moving, fixed image."""
    features, integration_steps = SETTINGS[name]
    return build_voxelmorph(features, integration_steps=integration_steps)
