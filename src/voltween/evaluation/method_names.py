"""The names by which comparisons know methods.

A name is "identity", "centres", a tool ("ants", "ants-affine", "ants-syn",
"ants-syncc", "elastix", "greedy", "greedy-nmi", "convexadam"), "voxelmorph" (trained
first), "voxelmorph:FILE" or "model:NAME_OR_FILE". The last two may end in "+fast" or
"+accurate", which refines the transform on the pair; "model:none+fast" and
"model:none+accurate" optimize it on the pair alone. After this, a similarity may
follow, with hyphens for spaces: "model:brain+accurate+features". "aligned:" before a
name registers scans that are aligned to an atlas.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from voltween.baselines import TIME_LIMIT_MINUTES, TOOLS
from voltween.cohorts import Case
from voltween.errors import InputError, check_range
from voltween.evaluation.alignment import prealign, read_alignment
from voltween.evaluation.methods import (
    Method,
    model_method,
    plain_method,
    tool_method,
)
from voltween.evaluation.voxelmorph import voxelmorph_method
from voltween.models import check_device_name
from voltween.spatial import Affine, Image, Transform, align_centers

MODEL_PREFIXES = ("model:", "voxelmorph:")
_ALIGNED, _VOXELMORPH = "aligned:", "voxelmorph"
_YEAR_MINUTES = 365 * 24 * 60


@dataclass(frozen=True)
class Preparation:
    """Inputs of methods that are trained, aligned or limited for a comparison.

    Raises:
        InputError: If the time limit is not positive.
    """

    cases: Sequence[Case]
    """The cohort, with the cases that VoxelMorph-2 is trained on."""
    out: Path
    """Folder of the comparison, which gets the training."""
    voxelmorph_steps: int | None = None
    """Training steps of VoxelMorph-2; None for the published number."""
    aligned: Path | None = None
    """Folder made by `voltween align`."""
    time_limit_minutes: float = TIME_LIMIT_MINUTES
    """Time limit of a tool for one pair."""

    def __post_init__(self) -> None:
        if not self.time_limit_minutes > 0:
            raise InputError(
                about="--time-limit-minutes",
                expected="a positive number",
                got=self.time_limit_minutes,
            )
        check_range("--time-limit-minutes", self.time_limit_minutes, 0, _YEAR_MINUTES)


def identity(fixed: Image, moving: Image) -> Transform:
    """The identity map of world mm, which leaves the scans as acquired."""
    return Affine.identity()


def centers(fixed: Image, moving: Image) -> Transform:
    """The rigid map, world mm, that aligns the centers and axes of the scans."""
    return align_centers(fixed.grid, moving.grid)


_PLAIN = {"identity": identity, "centres": centers}


def methods_named(
    names: Sequence[str], preparation: Preparation, *, device: str = "cpu"
) -> list[Method]:
    """The methods of a comparison by their names; models compute on the device.

    Raises:
        InputError: If a name is given twice, is unknown, or needs a preparation that
            was not given, or if there is no such device.
    """
    check_device_name(device)
    if not names or len(set(names)) < len(names):
        raise InputError(
            about="--methods",
            expected="names of different methods",
            got=", ".join(names) or "none",
        )
    return [_prepared_method(name, preparation, device) for name in names]


def method_named(
    name: str, *, device: str = "cpu", time_limit_minutes: float = TIME_LIMIT_MINUTES
) -> Method:
    """The method of a name that needs no preparation; the time limit is for tools.

    Raises:
        InputError: If there is no such method or model.
    """
    if name.startswith(MODEL_PREFIXES):
        return model_method(name, name.split(":", 1)[1], device=device)
    if name in _PLAIN:
        return plain_method(name, _PLAIN[name])
    if name in TOOLS:
        return tool_method(name, TOOLS[name], time_limit_minutes=time_limit_minutes)
    known = (*_PLAIN, *TOOLS, *(f"{prefix}FILE" for prefix in MODEL_PREFIXES))
    raise InputError(
        about="method", expected=f"one of {', '.join(known)}", got=repr(name)
    )


def _prepared_method(name: str, preparation: Preparation, device: str) -> Method:
    if name.startswith(_ALIGNED):
        return _aligned_method(name, preparation, device)
    if name == _VOXELMORPH:
        return voxelmorph_method(
            preparation.cases,
            preparation.out / _VOXELMORPH,
            steps=preparation.voxelmorph_steps,
            device=device,
        )
    limit = preparation.time_limit_minutes
    return method_named(name, device=device, time_limit_minutes=limit)


def _aligned_method(name: str, preparation: Preparation, device: str) -> Method:
    if preparation.aligned is None:
        raise InputError(
            about=name,
            expected="--aligned DIR, a folder made by `voltween align`",
            got="none",
        )
    inner = name.removeprefix(_ALIGNED)
    if inner == _VOXELMORPH:
        raise InputError(
            about=name,
            expected="a network trained on aligned scans",
            got="one that would be trained on the original scans",
            advice="train it on the manifest of `voltween align`, then give "
            "aligned:voxelmorph:FILE",
        )
    method = _prepared_method(inner, preparation, device)
    return prealign(method, read_alignment(preparation.aligned), name=name)
