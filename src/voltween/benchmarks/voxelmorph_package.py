"""The networks of the `voxelmorph` package (PyTorch), where it is installed.

Optional: `pip install voltween[bench]`.

References:
    Balakrishnan et al. 2019, VoxelMorph: A Learning Framework for Deformable Medical
    Image Registration, doi:10.1109/TMI.2019.2897538.
"""

from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from voltween.networks import VOXELMORPH_2_FEATURES, build_voxelmorph

VoxelMorphName = Literal["VoxelMorph", "VoxelMorph-2"]

VOXELMORPH_MULTIPLE = 32
"""Sides must be multiples of this: 5 levels."""

# Features of every level and steps of integration. The first are the package's own
# defaults; VoxelMorph-2 predicts the flow itself.
SETTINGS: dict[VoxelMorphName, tuple[tuple[int, ...], int]] = {
    "VoxelMorph": ((16, 16, 16, 16, 16), 5),
    "VoxelMorph-2": (VOXELMORPH_2_FEATURES, 0),
}


def installed_version() -> str | None:
    """Version of the package, None where it is missing or lacks what it needs."""
    try:
        import voxelmorph  # noqa: F401

        return version("voxelmorph")
    except (ImportError, PackageNotFoundError):
        return None


def voxelmorph_network(name: VoxelMorphName) -> Any:
    """Network of the settings `name`; call it with moving, fixed image."""
    features, integration_steps = SETTINGS[name]
    return build_voxelmorph(features, integration_steps=integration_steps)
