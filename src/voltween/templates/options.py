"""Options of a template."""

from dataclasses import dataclass, field, replace

from voltween.batches import RefinementOptions, RegistrationOptions
from voltween.errors import InputError, check_range
from voltween.registration import AUTO
from voltween.templates.averaging import Average

_MOST_ROUNDS = 100


@dataclass(frozen=True)
class AveragingOptions:
    """The way in which the scans of a round become the next template."""

    average: Average = "mean"
    """Average of the intensities: trimmed leaves a fifth of the scans out at either
    end, voxel by voxel, and median all but the middle, against outliers. Where fewer
    than five scans show a voxel, trimmed is the mean."""
    sharpen: float = 0.5
    """Strength of an unsharp mask after averaging; 0 leaves the average as it is."""
    step: float = 1.0
    """Share of the way to the mean shape that the template goes in every round."""
    mirrored: bool = False
    """Make the template symmetric, left to right: every scan also takes part as its
    mirror image. A given start is turned to its plane of symmetry first."""

    def __post_init__(self) -> None:
        check_range("--sharpen", self.sharpen, 0, 10)
        check_range("--step", self.step, 0, 1)


@dataclass(frozen=True)
class TemplateOptions:
    """Choices of how a template is made."""

    rounds: int = 3
    """Rounds in which all scans are registered to the template; more can be added
    later."""
    model: str = AUTO
    """Shipped model (see `voltween models`) or model file; auto takes the shipped model
    that learned from such scans, or none. With none, transforms are optimized alone.
    --refine none needs a model by its name."""
    averaging: AveragingOptions = field(default_factory=AveragingOptions)
    refinement: RefinementOptions = field(default_factory=RefinementOptions)

    def __post_init__(self) -> None:
        check_range("--rounds", self.rounds, 0, _MOST_ROUNDS)
        if self.refinement.guide_by_labels:
            raise InputError(
                about="--guide-by-labels",
                expected="registrations to scans with labels",
                got="registrations to a template, which has none",
            )
        self._check_can_register()

    @property
    def registration(self) -> RegistrationOptions:
        """The registrations of a round: the transforms alone are kept."""
        return RegistrationOptions(
            model=self.model, outputs="transform", refinement=self.refinement
        )

    @property
    def first_registration(self) -> RegistrationOptions:
        """The affine registrations to one of the scans, by which a start is made."""
        refinement = self.refinement.unbent("affine")
        return replace(self.registration, refinement=refinement)

    def _check_can_register(self) -> None:
        """Checks the options of the later rounds before the first one is made.

        A model by its name is required if its answer stays: auto may find that the
        template of a round, such as a symmetric one of a left side, is not like the
        scans that a model learned from.
        """
        if self.refinement.refine == "none" and self.model == AUTO:
            raise InputError(
                about="--refine none",
                expected="a --model by its name, whose answer stays in every round",
                got=f"--model {self.model}",
                advice="name one (see `voltween models`), or leave --refine out",
            )
        self.refinement.choice(model_name=self.model, has_guidance=False)
