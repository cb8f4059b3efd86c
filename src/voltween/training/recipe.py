"""Recipes: every setting that decides which weights a training ends with."""

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from voltween.errors import InputError, check_range
from voltween.networks import NetworkConfig
from voltween.preprocessing import Preprocessing
from voltween.refinement import FEATURES, split_name
from voltween.training.augmentation import Augmentation
from voltween.training.objective import RCN, VOXELMORPH, VTN_LIVER, Objective
from voltween.training.synthesis import Synthesis

TrainingPrecision = Literal["fp32", "bf16", "fp16"]

PUBLISHED_LEARNING_RATE = 1e-4
"""Initial rate of Adam in the paper (section V-A3) and in VoxelMorph's code."""

SHIPPED_LEARNING_RATE = 5e-4
"""Initial rate of Adam for the shipped models (runs/hippocampus.sh, runs/brain.sh,
runs/headneck.sh): better after the few thousand steps that two CPU cores allow."""

TOOL_TEACHERS = ("ants", "ants-syn")
"""Other tools as teachers: the paper's command of ANTs, and antspyx's SyN."""

_ANTS, _ = TOOL_TEACHERS  # the first is the teacher of the paper's supervised variant
_EPOCHS = 5
_MOST = 10**9  # of anything that is counted
_HIGHEST_RATE = 1000.0  # far above every rate of use
_AT_LEAST_ONE = (
    "steps",
    "pairs_per_step",
    "pairs_at_once",
    "averaged_steps",
    "validate_every",
    "validation_pairs",
    "kept_states",
    "target_pairs",
    "labels_per_pair",
    "patience",
    "steps_per_epoch",
)


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training; by default the paper's rate and losses, in fewer steps.

    Raises:
        InputError: If a number is out of range, the teacher is unknown, or the
            objective has both an end-point error and an invertibility term, or has
            not the terms that synthesized pairs need, or their teacher is no model
            alone.
    """

    steps: int = 2000
    """Number of steps."""
    steps_per_epoch: int | None = None
    """Steps per epoch; if not given, a fifth of the steps, as in the paper."""
    full_rate_epochs: int = 4
    """Epochs at the initial learning rate; the rate is halved in every later epoch."""
    pairs_per_step: int = 2
    """Pairs per step, over all devices: the result does not depend on how many devices
    share them."""
    pairs_at_once: int | None = None
    """Pairs in the memory of a device at once; the gradients of a step's further pairs
    are accumulated. If not given, all pairs of the device."""
    learning_rate: float = PUBLISHED_LEARNING_RATE
    """Initial learning rate of Adam."""
    averaged_steps: int = 1
    """Steps over which the weights are averaged (exponentially); the mean is validated
    and becomes the model. With few pairs per step, some hundred steps make the model
    depend less on the last pairs. 1 keeps the weights themselves, as in the paper."""
    objective: Objective = VTN_LIVER
    augmentation: Augmentation = field(default_factory=Augmentation)
    synthesis: Synthesis = field(default_factory=Synthesis)
    masked_share: float = 0.0
    """Share of pairs in which both images are masked by labels > 0."""
    labels_per_pair: int = 8
    """With an overlap term: number of structures per pair and step, drawn at random
    from those that both scans have."""
    seed: int = 0
    """Seed of weights, pairs and augmentation."""
    start_from: str | None = None
    """Shipped or own model, or model file, with the initial weights. It must have the
    same network. Its flow multiplier may differ: the weights are rescaled so that the
    flows stay the same. So may what it sees. `--fine-tune` takes the network of the
    model, too."""
    precision: TrainingPrecision = "fp32"
    """Precision of features: bf16 is faster on processors with AMX, bf16 and fp16 on
    GPUs, and both halve the memory. Weights, flows, warps and losses are always in
    single precision."""
    recompute_features: bool = False
    """Recompute features for the gradients: less memory, a third more time."""
    validate_every: int = 200
    """Steps between validations; each validation also saves a state to resume from."""
    validation_pairs: int = 20
    """Number of ordered pairs of `val` cases for validation."""
    patience: int | None = None
    """Stop after this many validations without a better model; if not given, never."""
    names_cases: bool = False
    """Write the names of the cases into the model file, which else has only their
    numbers: names may tell who was scanned."""
    kept_states: int = 2
    """Number of states to resume from that are kept; older ones are deleted."""
    target_pairs: int = 100
    """With an end-point error: number of training pairs that the teacher registers."""
    teacher: str = _ANTS
    """Method that registers them: "ants" (the paper's command) or "ants-syn" (the
    quicker SyN of antspyx), which need voltween[baselines]; or a shipped model or model
    file of the same grid, refined on each pair, such as "brain+accurate" or
    "FILE+fast"."""

    def __post_init__(self) -> None:
        self._check_numbers()
        is_tool = self.teacher in TOOL_TEACHERS
        refinement = split_name(self.teacher)[1]
        if not is_tool and (refinement is None or refinement.similarity == FEATURES):
            raise InputError(
                about="teacher",
                expected='"ants", "ants-syn", or a model with +fast or +accurate at '
                "its end, which may name a similarity of images",
                got=repr(self.teacher),
            )
        if self.objective.end_point_error > 0 and self.objective.invertibility > 0:
            raise InputError(
                about="objective",
                expected="an end_point_error or an invertibility term, as target "
                "flows exist for one direction only",
                got="both",
            )
        if self.synthesis.share > 0:
            self._check_synthesis()
        self._check_teacher_of_synthesis()

    def _check_synthesis(self) -> None:
        objective = self.objective
        if not objective.has_overlap:
            raise InputError(
                about="objective",
                expected="an overlap term, as synthesized pairs have labels",
                got=f"overlap = {list(objective.overlap)}",
            )
        if objective.affine_similarity > 0 or any(objective.dense_similarity):
            raise InputError(
                about="objective",
                expected="affine_similarity = 0 and dense_similarity = [], as the "
                "sides of synthesized pairs have contrasts of their own",
                got=f"{objective.affine_similarity} and "
                f"{list(objective.dense_similarity)}",
            )

    def _check_teacher_of_synthesis(self) -> None:
        weight, synthesis = self.objective.end_point_error, self.synthesis
        teacher = synthesis.teacher
        if teacher in TOOL_TEACHERS or (teacher and split_name(teacher)[1]):
            raise InputError(
                about="synthesis.teacher",
                expected="a model without +fast or +accurate, as it registers a pair "
                "of scans in every step",
                got=f"{teacher!r}, which takes many times as long",
                advice="give the model alone, by its name or file",
            )
        if synthesis.teacher is not None and synthesis.share < 1:
            raise InputError(
                about="synthesis.share",
                expected="1 with a teacher, whose flows are those of synthesized pairs",
                got=synthesis.share,
            )
        if synthesis.share > 0 and (weight > 0) != (synthesis.teacher is not None):
            raise InputError(
                about="synthesis.teacher",
                expected="a teacher and an end_point_error above 0 as the weight of "
                "its flows, or neither",
                got=f"{synthesis.teacher} and {weight:g}",
            )
        if synthesis.share > 0 and self.teacher != _ANTS:
            raise InputError(
                about=f"teacher {self.teacher}",
                expected="none but synthesis.teacher, as all flows to learn are those "
                "of synthesized pairs",
                got="both" if synthesis.teacher else "it alone",
            )

    def _check_numbers(self) -> None:
        for name in _AT_LEAST_ONE:
            check_range(name, getattr(self, name), 1, _MOST)
        check_range("full_rate_epochs", self.full_rate_epochs, 0, _MOST)
        check_range("learning_rate", self.learning_rate, -math.inf, _HIGHEST_RATE)
        check_range("seed", self.seed, 0, 2**63 - 1)
        if self.learning_rate <= 0:
            raise InputError(
                about="learning_rate", expected="above 0", got=self.learning_rate
            )
        if not 0 <= self.masked_share <= 1:
            raise InputError(
                about="masked_share", expected="0 to 1", got=self.masked_share
            )


PUBLISHED_TRAINING = TrainConfig(
    steps=100_000,
    steps_per_epoch=20_000,
    full_rate_epochs=4,
    pairs_per_step=8,
    augmentation=Augmentation(displacement=0.0),
)
"""The paper's training of its own networks (section V): 5 epochs of 20 000 steps, 8
pairs per step, Adam at 1e-4, halved every epoch after the 4th, the losses of Table I.
The paper mentions no augmentation."""

VOXELMORPH_TRAINING = TrainConfig(
    steps=5000,
    pairs_per_step=4,
    learning_rate=PUBLISHED_LEARNING_RATE,
    objective=VOXELMORPH,
)
"""The paper's training of VoxelMorph-2: batches and steps of section V-A3, rate and
objective of VoxelMorph's own code. Pairs, augmentation and the halving of the rate are
those of every network here."""

RCN_TRAINING = TrainConfig(
    steps=100_000,
    steps_per_epoch=20_000,
    full_rate_epochs=3,
    pairs_per_step=4,
    objective=RCN,
    augmentation=Augmentation(displacement=0.1, control_points=5, draws="cubes"),
)
"""The training of the authors' later code, as its options are by default: 5 epochs of
20 000 steps of 4 pairs, Adam at 1e-4 in the first three epochs, halved in the 4th and
in the 5th; the moving image deformed by up to 12.8 of 128 voxels."""

SHIPPED_AUGMENTATION = Augmentation(
    displacement=0.05, rotation_degrees=15.0, scaling=0.1, translation=0.08, gamma=0.3
)
"""Augmentation of the shipped models, without the bias field and the noise of scanners;
their scripts vary it for heads and for CT."""

SHIPPED_TRAINING = TrainConfig(
    learning_rate=SHIPPED_LEARNING_RATE,
    objective=Objective(last_similarity="local correlation"),
    augmentation=replace(SHIPPED_AUGMENTATION, bias=0.2, noise=0.03),
)
"""The training of the shipped models, from which every plan starts; steps, overlap term
and augmentation then depend on the cohort."""

SYNTHESIS_TRAINING = TrainConfig(
    steps=10_000,
    learning_rate=3e-4,
    objective=Objective(
        affine_similarity=0.0,
        dense_similarity=(),
        total_variation=0.5,
        overlap=(2.0, 0.0, 0.5),
    ),
    augmentation=Augmentation(
        deforms_fixed=True,
        displacement=0.06,
        rotation_degrees=15.0,
        scaling=0.12,
        translation=0.07,
        gamma=0.4,
        bias=0.4,
        noise=0.06,
    ),
    synthesis=Synthesis(share=1.0),
    labels_per_pair=16,
)
"""The training on label maps, from which plans of cohorts without scans start. Poses
and shapes are those of either side: two sides differ by up to twice as much."""


@dataclass(frozen=True)
class Recipe:
    """A canonical grid, a network on it, and the settings of its training.

    Raises:
        InputError: If the network has another grid, or a teacher is given whose flows
            have no weight in the objective.
    """

    preprocessing: Preprocessing
    network: NetworkConfig
    training: TrainConfig
    remarks: tuple[str, ...] = field(default=(), compare=False)
    """Settings adapted to the scans, or overridden, in words; written to the run."""

    def __post_init__(self) -> None:
        if self.network.shape != self.preprocessing.shape:
            raise InputError(
                about="shape of the network",
                expected=f"that of the canonical grid, {self.preprocessing.shape}",
                got=self.network.shape,
            )
        training = self.training
        if training.teacher != _ANTS and training.objective.end_point_error == 0:
            raise InputError(
                about=f"teacher {training.teacher}",
                expected="an end_point_error above 0 as the weight of its flows",
                got=0,
                advice="give a weight, or no teacher",
            )


def learning_rate(step: int, config: TrainConfig) -> float:
    """Rate of a step (from 1): constant at first, then halved every epoch."""
    if config.steps_per_epoch is None:
        epoch = (step - 1) * _EPOCHS // config.steps
    else:
        epoch = (step - 1) // config.steps_per_epoch
    return config.learning_rate * 0.5 ** max(0, epoch - config.full_rate_epochs + 1)
