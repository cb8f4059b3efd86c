"""Transforms of a comparison on disk, so that they can be measured again.

The store in the folder has one per method and pair, with the resources that it took.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from voltween import io
from voltween.cohorts import Pair
from voltween.errors import InputError
from voltween.evaluation.methods import Answer
from voltween.evaluation.records import Records, kept_transform
from voltween.storage import Facts, Store

logger = logging.getLogger(__name__)

RESOURCES = ("loading_seconds", "seconds", "processor_seconds", "peak_memory_mb")
"""Fields of a `PairScore` that say what a registration took."""
_FIGURES = "figures"


@dataclass(frozen=True)
class KeptTransforms:
    """The transforms that are kept in the folder of a comparison."""

    folder: Path

    def find(
        self, method: str, pair: Pair, facts: Facts
    ) -> tuple[Answer, dict[str, float]] | None:
        """A transform kept under the same facts, with the resources it took, if any.

        Also None if it is damaged, or of a model: models register again, which is quick
        and gives all stages.
        """
        path = Records(self.folder).find_transform(method, pair)
        finished = self._store.find(facts, name=self._name(path))
        if finished is None or _FIGURES not in finished.values:
            return None
        try:
            if not finished.is_undamaged():
                raise InputError(expected="the content as written", got="another one")
            figures = _numbers(finished.values[_FIGURES])
            return Answer(io.read_transform(path)), figures
        except (InputError, KeyError, TypeError, ValueError, OverflowError) as error:
            logger.warning("%s is damaged, the pair is registered: %s", path, error)
            return None

    def keep(
        self,
        method: str,
        pair: Pair,
        facts: Facts,
        *,
        answer: Answer,
        figures: Mapping[str, float],
    ) -> None:
        """Writes a transform, fixed to moving (ITK).

        Raises:
            OutputError: If it cannot be written.
        """
        path = kept_transform(self.folder, method, pair)
        with self._store.making(facts, name=self._name(path)) as draft:
            file = draft.path(path.relative_to(self.folder).as_posix())
            io.write(answer.fixed_to_moving, file)
            if not answer.stages:
                draft.values[_FIGURES] = {
                    name: None if math.isnan(number) else number
                    for name, number in figures.items()
                }

    @property
    def _store(self) -> Store:
        return Store(self.folder)

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).with_suffix("").as_posix()


def _numbers(figures: Mapping[str, float | None]) -> dict[str, float]:
    """The resources from JSON, in which null stands for NaN."""
    numbers = {name: figures[name] for name in RESOURCES}
    resources = {n: math.nan if v is None else float(v) for n, v in numbers.items()}
    return resources | {"threads": int(figures.get("threads") or 0)}
