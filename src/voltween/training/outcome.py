"""The outcome of a training: its best step, and whether the model is of any use."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from voltween.errors import InputError
from voltween.models import dataclass_from_facts, load_model
from voltween.storage import existing_file, read_json, read_table
from voltween.training.run_folder import (
    BEST,
    RECIPE,
    VALIDATION,
    states_in,
    step_of_state,
)
from voltween.training.validation import INVERTED, StageValidation, merit

_VALIDATION_COLUMNS = ("step", "stage", "dice", "correlation", "folding_percent")


@dataclass(frozen=True)
class Outcome:
    """The outcome of a training so far, by means over its validation pairs.

    All figures are on the network's grid.
    """

    model: Path
    """File of the best model."""
    best_step: int
    """Step of that model; 0 is the model that a fine-tuning started from."""
    last_step: int
    """Number of steps taken."""
    planned_steps: int
    stages: tuple[StageValidation, ...] = ()
    """Before registration, and after every stage of the best model; empty without
    validation pairs."""
    start: tuple[StageValidation, ...] = ()
    """The same for the model that training started from, if it was one."""
    patience: int | None = None
    """Number of validations without a better model after which training stops; None if
    it does not."""
    without_better: int = 0
    """Number of validations since that of the best model."""

    @property
    def stopped_early(self) -> bool:
        """Whether training ended before its last step because patience ran out."""
        return (
            self.patience is not None
            and self.without_better >= self.patience
            and self.last_step < self.planned_steps
        )

    @property
    def is_better_than_nothing(self) -> bool | None:
        """Whether pairs agree better after registration; None if nothing tells."""
        if not self.stages:
            return None
        return merit(self.stages) > self._before

    @property
    def sentences(self) -> tuple[str, ...]:
        """The outcome for people."""
        return (self._best_in_words, self._figures_in_words, self._verdict)

    @property
    def measure(self) -> str:
        """Name of the measure by which the best model was chosen."""
        last = self.stages[-1] if self.stages else None
        return "correlation" if last is None or last.dice is None else "Dice"

    @property
    def _before(self) -> float:
        """The merit of doing nothing, of the same pairs as that of the best model."""
        first = self.stages[0].stage
        return merit([s for s in self.stages if s.stage in (first, first + INVERTED)])

    @property
    def _best_in_words(self) -> str:
        text = f"The best model is {self.model}, of step {self.best_step}"
        text += f" of {self.last_step}."
        if self.stopped_early:
            return f"{text} {self._end_in_words}"
        if self.last_step < self.planned_steps:
            text += f" {self.planned_steps} steps were planned."
        return text

    @property
    def _end_in_words(self) -> str:
        times = "validation" if self.without_better == 1 else "validations in a row"
        return (
            f"Training stopped early, before step {self.planned_steps}: "
            f"{self.without_better} {times} found no better model (patience "
            f"{self.patience}). To go on after step {self.last_step}, repeat the "
            f"command with a higher --patience, such as {2 * self.without_better}."
        )

    @property
    def _figures_in_words(self) -> str:
        if not self.stages:
            return "There are no pairs of `val` cases: nothing was measured."
        text = (
            f"{self.measure} of `val` pairs on the network's grid: {self._before:.3f} "
            f"before registration, {merit(self.stages):.3f} after it"
        )
        if self.start:
            text += f"; {merit(self.start):.3f} by the model that training started from"
        return f"{text}."

    @property
    def _verdict(self) -> str:
        if self.is_better_than_nothing is None:
            return "Whether the model is better than doing nothing is not known."
        if not self.is_better_than_nothing:
            return "The model is NOT better than doing nothing."
        if self.start and self.best_step == 0:
            return (
                "The model is better than doing nothing, but no step was better than "
                "the model that training started from, which it still is."
            )
        return "The model is better than doing nothing."


def read_outcome(run: Path) -> Outcome:
    """Reads the outcome of a training from the folder of its run.

    Raises:
        InputError: If the folder has no model yet, or a file is damaged.
    """
    path = existing_file(run / BEST)
    facts = load_model(path).provenance
    try:
        stages = tuple(
            dataclass_from_facts(StageValidation, stage, "validation_on_network_grid")
            for stage in facts["validation_on_network_grid"]
        )
        best_step, planned = int(facts["steps"]), int(facts["training"]["steps"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            about=path, expected="a model that training wrote", got="another one"
        ) from error
    steps = [step_of_state(state) for state in states_in(run)]
    validated = _validations(run)
    return Outcome(
        model=path,
        best_step=best_step,
        last_step=max([best_step, *steps]),
        planned_steps=planned,
        stages=stages,
        start=validated.get(0, ()),
        patience=_patience(run),
        without_better=sum(step > best_step for step in validated),
    )


def _patience(run: Path) -> int | None:
    """The patience with which the run went on last."""
    path = run / RECIPE
    if not path.exists():
        return None
    facts = read_json(path, "the recipe of a training")
    try:
        patience = facts["recipe"]["training"]["patience"]
    except (KeyError, TypeError):  # of an earlier version
        return None
    return patience if isinstance(patience, int) else None


def _validations(run: Path) -> dict[int, tuple[StageValidation, ...]]:
    """The stages of every validation by its step; 0 is a model to start from."""
    path = run / VALIDATION
    if not path.exists():
        return {}
    table = read_table(path, "the validation of a training", _VALIDATION_COLUMNS)
    found: dict[int, tuple[StageValidation, ...]] = {}
    try:
        for row in table.rows:
            step = int(row["step"])
            found[step] = (*found.get(step, ()), _stage(row))
    except ValueError as error:
        raise InputError(
            about=path, expected="numbers of a validation", got="something else"
        ) from error
    return found


def _stage(row: Mapping[str, str]) -> StageValidation:
    return StageValidation(
        stage=row["stage"],
        dice=float(row["dice"]) if row["dice"] else None,
        correlation=float(row["correlation"]),
        folding_percent=float(row["folding_percent"]),
    )
