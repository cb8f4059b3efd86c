"""Settings of an experiment, which replace those of its scale."""

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from voltween.training import TrainingPrecision

Three = tuple[float, float, float]


@dataclass(frozen=True)
class ExperimentSettings:
    """Changes to the settings of a scale; those not given stay as they are.

    A table may have them in a section [settings]; options replace those of the table.
    """

    split: Literal["val", "test"] | None = None
    """Cases to measure; test if not given. `val` cases choose the models, so that a
    table measured on them says less."""
    atlas: str | None = None
    """Case that scans are aligned to by ANTs for the starred rows; if not given, the
    first training case."""
    shape: tuple[int, int, int] | None = None
    """Voxels of the networks' grid along R, A, S; at paper scale 128 128 128."""
    spacing_mm: Three | None = None
    """Voxel size of that grid; if not given, the widest field of view of the training
    scans divided by the shape."""
    hounsfield_window: tuple[float, float] | None = None
    """For CT: the Hounsfield units that are mapped to 0 and 1; if not given, each scan
    is scaled by percentiles of its foreground."""
    channels: int | None = None
    """Channels after the first halving."""
    levels: int | None = None
    """Halvings of the dense subnetworks; the paper has 6, down to 2^3."""
    affine_levels: int | None = None
    """Halvings of the affine subnetwork; the paper has 5, down to 4^3."""
    flow_multiplier: float | None = None
    """Factor on the output of every dense subnetwork."""
    steps: int | None = None
    """Steps of every cascade."""
    steps_per_epoch: int | None = None
    """Steps per epoch; the paper has 20000."""
    full_rate_epochs: int | None = None
    """Epochs before the learning rate is halved every epoch; the paper has 4."""
    learning_rate: float | None = None
    """Initial learning rate of Adam."""
    pairs_per_step: int | None = None
    """Pairs per step, over all devices."""
    pairs_at_once: int | None = None
    """Pairs in the memory of a device at once."""
    precision: TrainingPrecision | None = None
    """Precision of features in training."""
    recompute_features: bool | None = None
    """Recompute features for the gradients: less memory, a third more time."""
    target_pairs: int | None = None
    """Pairs that the teacher of a supervised row registers, at most all."""
    validate_every: int | None = None
    """Steps between validations."""
    voxelmorph_steps: int | None = None
    """Steps of VoxelMorph-2; the paper has 5000."""
    voxelmorph_pairs_per_step: int | None = None
    """Pairs per step of VoxelMorph-2; the paper has 4."""
    elastix_iterations: int | None = None
    """Iterations of elastix per resolution; the paper has 1000."""

    def changed_by(self, other: "ExperimentSettings") -> "ExperimentSettings":
        """These settings, with those that the others have in their place."""
        return replace(self, **other.given)

    @property
    def given(self) -> dict[str, Any]:
        """The settings that are not None, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}
