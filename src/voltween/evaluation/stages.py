"""The stages of a cascade on a pair of a comparison, which keeps the last one alone."""

from pathlib import Path

import numpy as np

from voltween.errors import InputError
from voltween.evaluation.comparison import ComparedPair
from voltween.evaluation.comparison_folder import ComparisonFolder
from voltween.evaluation.method_names import MODEL_PREFIXES, method_named
from voltween.evaluation.methods import Method, model_method
from voltween.spatial import Transform

_TRAINED, _BEST = "trained", "best.safetensors"
_ALIGNED = "aligned"


def register_stages(
    folder: Path, pair: ComparedPair, method: str
) -> dict[str, Transform]:
    """Registers a compared pair again by a model, and returns all stages.

    Returns:
        The transform after every stage, fixed to moving world mm, by the stage's name.

    Raises:
        InputError: If the method has no stages, needs aligned scans, or its model is
            not the one of the comparison any more.
    """
    answer = _find_method(folder, method).load()(pair.fixed.image, pair.moving.image)
    stages = {name: stage for name, stage in answer.stages.items() if name != "before"}
    kept = pair.methods[method].fixed_to_moving
    _check_same(pair, kept, answer.fixed_to_moving, method)
    return stages


def _find_method(folder: Path, name: str) -> Method:
    """The model of a comparison, or the trained network of an experiment."""
    comparison = ComparisonFolder.at(folder)
    stored = comparison.record_name(name)
    if stored.startswith(MODEL_PREFIXES):
        return method_named(stored)
    trained = comparison.kept / _TRAINED / stored / _BEST
    if trained.is_file() and _ALIGNED not in stored.split("-"):
        return model_method(name, str(trained))
    raise InputError(
        about="--method",
        expected="a model that registers scans as they are (model:NAME_OR_FILE, or a "
        "row of an experiment without alignment)",
        got=repr(name),
    )


def _check_same(
    pair: ComparedPair, kept: Transform, again: Transform, method: str
) -> None:
    """Checks that a registration gave the transform that was kept, to half a voxel."""
    grid = pair.fixed.image.grid
    axes = [np.linspace(0, size - 1, 8) for size in grid.shape]
    voxels = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    positions_mm = grid.voxel_to_world(voxels)
    apart = kept.map_positions(positions_mm) - again.map_positions(positions_mm)
    apart_mm = float(np.linalg.norm(apart, axis=1).mean())
    if apart_mm > grid.spacing_mm.min() / 2:
        raise InputError(
            about=method,
            expected="the model that the comparison used",
            got=f"one whose transform differs from the kept one by {apart_mm:.2g} mm",
            advice="run the comparison again",
        )
