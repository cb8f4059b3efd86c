"""All that decides how a network is trained, and so what comes out."""

from dataclasses import dataclass, field
from typing import Literal

from voltween.errors import InputError
from voltween.networks import NetworkConfig
from voltween.preprocessing import Preprocessing
from voltween.refinement import split_name
from voltween.training.augmentation import Augmentation
from voltween.training.objective import VOXELMORPH, VTN_LIVER, Objective

TrainingPrecision = Literal["fp32", "bf16", "fp16"]

_ANTS = "ants"  # the default of the supervised variant
_EPOCHS = 5
_FULL_RATE_EPOCHS = 4
_AT_LEAST_ONE = (
    "steps",
    "pairs_per_step",
    "pairs_at_once",
    "validate_every",
    "validation_pairs",
    "kept_states",
    "target_pairs",
    "labels_per_pair",
)


@dataclass(frozen=True)
class TrainConfig:
    """How to train; the defaults are the paper's where two CPU cores allow.

    Raises:
        InputError: If a number is out of range, the teacher is unknown, or target flows
            are asked for both ways.
    """

    steps: int = 2000
    """Steps in all. The learning rate is halved after four fifths of them (the paper:
    5 epochs, halved every epoch after the 4th)."""
    pairs_per_step: int = 2
    """Pairs in a step, on all devices together: the result does not depend on how many
    devices share them."""
    pairs_at_once: int | None = None
    """Pairs in a device's memory at once; gradients of a step's others are added up. If
    not given, all of the device's share."""
    learning_rate: float = 1e-4
    """Of Adam, at the start."""
    objective: Objective = VTN_LIVER
    augmentation: Augmentation = field(default_factory=Augmentation)
    masked_share: float = 0.0
    """Share of pairs in which both images are masked by labels > 0."""
    labels_per_pair: int = 8
    """With an overlap term: structures of a pair that count in a step, drawn from those
    that both scans have. Others have their turn in other steps."""
    seed: int = 0
    """Of weights, pairs and augmentation."""
    start_from: str | None = None
    """Shipped model or model file whose weights to start from, of the same network; the
    flow multiplier may be another, and the flows are the same all the same."""
    precision: TrainingPrecision = "fp32"
    """Of features: bf16 is faster on processors with AMX, bf16 and fp16 on GPUs, and
    they halve the memory. Weights, flows, warps and losses are in single precision in
    any case."""
    recompute_features: bool = False
    """Compute features anew for the gradients: less memory, a third more time."""
    validate_every: int = 200
    """Steps between validations; each also saves the state to resume from."""
    validation_pairs: int = 20
    """Ordered pairs of `val` cases to validate on."""
    patience: int | None = None
    """Stop after that many validations without a better model; if not given, never."""
    kept_states: int = 2
    """States to resume from that are kept: the latest ones."""
    target_pairs: int = 100
    """With an end-point error: training pairs that the teacher registers."""
    teacher: str = _ANTS
    """Who registers them: "ants" (needs voltween[baselines]), or a shipped model or
    model file of the same grid, refined on each pair, such as "brain+accurate" or
    "FILE+fast"."""

    def __post_init__(self) -> None:
        for name in (*_AT_LEAST_ONE, "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, got {value}")
        if self.learning_rate <= 0:
            raise InputError(f"learning_rate must be > 0, got {self.learning_rate}")
        if not 0 <= self.masked_share <= 1:
            raise InputError(f"masked_share must be 0 to 1, got {self.masked_share}")
        if self.teacher != _ANTS and split_name(self.teacher)[1] is None:
            raise InputError(
                'teacher must be "ants", or a model that ends in +fast or +accurate, '
                f"got {self.teacher!r}"
            )
        if self.objective.end_point_error > 0 and self.objective.invertibility > 0:
            raise InputError(
                "target flows lead one way: give either an end_point_error or an "
                "invertibility term, got both"
            )


VOXELMORPH_TRAINING = TrainConfig(
    steps=5000, pairs_per_step=4, learning_rate=1e-4, objective=VOXELMORPH
)
"""VoxelMorph-2: batches and steps as the paper trained it (section V-A3), rate and
objective as its authors' code. Pairs, augmentation and the halving of the rate are
those of every network here."""


@dataclass(frozen=True)
class Recipe:
    """A grid, a network, and how it is trained.

    Raises:
        InputError: If the network's grid is not the canonical grid, or a teacher is
            named whose flows have no weight.
    """

    preprocessing: Preprocessing
    network: NetworkConfig
    training: TrainConfig

    def __post_init__(self) -> None:
        if self.network.shape != self.preprocessing.shape:
            raise InputError(
                "the network's shape must be that of the canonical grid, "
                f"{self.preprocessing.shape}, got {self.network.shape}"
            )
        training = self.training
        if training.teacher != _ANTS and training.objective.end_point_error == 0:
            raise InputError(
                f"teacher {training.teacher}: its flows need a weight: give an "
                "end_point_error above 0, or no teacher"
            )


def learning_rate(step: int, config: TrainConfig) -> float:
    """Rate of a step (from 1): constant for 4 of 5 epochs, then halved every epoch."""
    epoch = (step - 1) * _EPOCHS // config.steps
    return config.learning_rate * 0.5 ** max(0, epoch - _FULL_RATE_EPOCHS + 1)
