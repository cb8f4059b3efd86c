"""The progress bar of a registration: one bar over all of its parts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, ProgressColumn, Task
from rich.text import Text

from voltween.cli.progress import Description, progress_bar
from voltween.refinement import Step
from voltween.registration import watching_parts

# Usual shares of the time, with the words by which a part is named.
_PARTS = {
    "reading": (10, "reading the scans"),
    "preparing": (5, "preparing the scans"),
    "search": (22, "finding the pose"),
    "refinement": (35, "refining"),
    "unfolding": (5, "removing folds"),
    "resampling": (2, "resampling the moving scan"),
    "labels": (2, "resampling the labels"),
    "transform": (1, "writing the transform"),
    "field": (2, "computing the displacement field"),
    "inverse": (5, "computing the inverse"),
    "overview": (7, "painting the overview"),
    "jacobian": (3, "computing the Jacobian determinant"),
    "carried labels": (2, "carrying the labels"),
    "carried points": (1, "carrying the points"),
    "moved points": (1, "moving the points"),
    "figures": (4, "measuring the result"),
    "report": (6, "making the report"),
    "files": (3, "writing the files"),
}
_WIDTH = 28  # of the bar, beside which the words have room in 80 columns
_AFFINE_SHARE = 0.3  # of the refinement
_GROWTH = 4  # of the time of a level, against the one before it
_LEAST_SHARE, _LEAST_SECONDS = 0.1, 2.0  # before the time left is told


class Stages:
    """The part of a registration that is running, and the share that is done."""

    def __init__(self, absent: frozenset[str] = frozenset()) -> None:
        """Begins with nothing done; `absent` are the parts that are left out."""
        self._shares = {
            part: share for part, (share, _) in _PARTS.items() if part not in absent
        }
        self._part, self._within = "", 0.0

    @property
    def words(self) -> str:
        """The name of the part that is running."""
        return _PARTS[self._part][1] if self._part else ""

    @property
    def done(self) -> float:
        """The share of the time that has passed, from 0 to 1."""
        names = list(self._shares)
        if self._part not in self._shares:
            return 0.0
        before = sum(self._shares[n] for n in names[: names.index(self._part)])
        within = self._within * self._shares[self._part]
        return (before + within) / sum(self._shares.values())

    def begin(self, part: str) -> None:
        """Goes on to a part; one without a name of its own is left out."""
        if part in self._shares:
            self._part, self._within = part, 0.0

    def refine(self, step: Step) -> None:
        """Goes on by a step of the refinement."""
        if self._part != "refinement":
            return
        costs = [_GROWTH**level for level in range(step.levels)]
        passed = sum(costs[: step.level - 1])
        passed += costs[step.level - 1] * step.step / step.steps
        share = passed / sum(costs)
        is_affine = step.part == "affine"
        rest = _AFFINE_SHARE * share
        self._within = rest if is_affine else share + (1 - share) * _AFFINE_SHARE


class TimeLeft(ProgressColumn):
    """The time left, by the share that is done and the time that has passed."""

    def render(self, task: Task) -> Text:
        """The seconds or minutes; nothing at the beginning."""
        seconds, done = task.elapsed or 0.0, task.completed
        if seconds < _LEAST_SECONDS or done < _LEAST_SHARE:
            return Text("")
        left = seconds * (1 - done) / done
        return Text(f"{left:.0f} s left" if left < 60 else f"{left / 60:.0f} min left")


@contextmanager
def registration_bar(
    absent: frozenset[str] = frozenset(),
) -> Iterator[Callable[[Step], None]]:
    """Shows the bar within the block; yields the function to call at every step.

    Args:
        absent: Names of parts that are left out, such as those of outputs.
    """
    stages = Stages(absent)
    with progress_bar(BarColumn(_WIDTH), TimeLeft(), Description()) as progress:
        task = progress.add_task("", total=1.0)

        def show(words: str, *, at_once: bool = False) -> None:
            done = stages.done
            progress.update(task, completed=done, description=words, refresh=at_once)

        def on_part(part: str) -> None:
            stages.begin(part)
            show(stages.words, at_once=True)

        def on_step(step: Step) -> None:
            stages.refine(step)
            show(
                f"refining: {step.part} level {step.level} of {step.levels}, "
                f"step {step.step}"
            )

        with watching_parts(on_part):
            yield on_step
