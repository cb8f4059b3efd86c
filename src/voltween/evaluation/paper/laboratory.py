"""The networks of a table's rows: trained once, on the scans or on aligned scans."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch

from voltween.baselines import TIME_LIMIT_MINUTES, elastix_with
from voltween.cohorts import Case, cases_of_split, load_case
from voltween.errors import FailedTasksError, InputError
from voltween.evaluation.alignment import Alignment, align_cases, prealign
from voltween.evaluation.method_names import method_named
from voltween.evaluation.methods import Method, model_method, tool_method, unavailable
from voltween.evaluation.paper.scales import Scale, cases_of_row, recipe_of
from voltween.evaluation.paper.table_file import TableRow
from voltween.training import Hardware, Recipe, StepReport, train
from voltween.workers import Engine, Runner


class RowMethods(NamedTuple):
    """A row as a method; if it is a network and there is a GPU, also on the GPU."""

    method: Method
    on_gpu: Method | None = None


@dataclass(frozen=True)
class Laboratory:
    """Trains networks on the original cases or on cases aligned to an atlas."""

    cases: tuple[Case, ...]
    scale: Scale
    out: Path
    """Folder of the scale, within the folder of all experiments."""
    measured: tuple[Case, ...]
    """Cases that the table is measured on."""
    atlas: str | None = None
    """Case that scans are aligned to; None for the first training case."""
    hardware: Hardware | None = None
    time_limit_minutes: float = TIME_LIMIT_MINUTES
    """Time that another tool gets for a pair."""
    engine: Engine = field(default_factory=Engine)
    """The place where scans are aligned."""
    on_training: Callable[[str], None] = lambda name: None
    on_step: Callable[[StepReport], None] = lambda report: None

    def methods(self, row: TableRow) -> RowMethods:
        """The row as methods; trains its network if it is not trained yet.

        A row that cannot be trained or run here is a method that says why.
        """
        try:
            if row.method is not None:
                return RowMethods(self._tool_method(row.method))
            self.on_training(row.method_name)
            return self._network_methods(row, str(self._train(row)))
        except InputError as error:  # the other rows go on
            return RowMethods(unavailable(row.method_name, error))

    def recipe(self, row: TableRow) -> Recipe:
        """The recipe of a row's network.

        Raises:
            InputError: If the cases cannot be used.
        """
        cases = self._cases_of(row)
        fitted = self.scale.fit(cases_of_split(cases, "train"))
        recipe = recipe_of(row, fitted, self.scale)
        if not row.supervised:
            return recipe
        count = len(cases_of_split(cases_of_row(row, cases), "train"))
        pairs = min(recipe.training.target_pairs, count * (count - 1))
        return replace(recipe, training=replace(recipe.training, target_pairs=pairs))

    def _tool_method(self, name: str) -> Method:
        limit = self.time_limit_minutes
        if name != "elastix":
            return method_named(name, time_limit_minutes=limit)
        tool = elastix_with(self.scale.elastix_iterations)
        return tool_method(name, tool, time_limit_minutes=limit)

    def _network_methods(self, row: TableRow, model: str) -> RowMethods:
        name = row.method_name
        method = self._aligned(row, model_method(name, model))
        if not torch.cuda.is_available():
            return RowMethods(method)
        on_gpu = model_method(f"{name}, GPU", model, device="cuda")
        return RowMethods(method, self._aligned(row, on_gpu))

    def _aligned(self, row: TableRow, method: Method) -> Method:
        if not row.aligned:
            return method
        return prealign(method, self._alignment, name=method.name)

    def _train(self, row: TableRow) -> Path:
        return train(
            cases_of_row(row, self._cases_of(row)),
            self.recipe(row),
            out=self.out / "trained" / row.method_name,
            hardware=self.hardware,
            cache=self.out / "cache",
            on_step=self.on_step,
        )

    def _cases_of(self, row: TableRow) -> tuple[Case, ...]:
        """The cases that a row trains and validates on, aligned if it wants them so."""
        return self._aligned_cases if row.aligned else self.cases

    @cached_property
    def _aligned_cases(self) -> tuple[Case, ...]:
        names = {case.name for case in self.measured}
        used = [
            case
            for case in self.cases
            if case.split in ("train", "val") or case.name in names
        ]
        runner, folder = Runner(self.engine), self.out.parent / "aligned"
        aligned = align_cases(used, self._alignment, folder, runner=runner)
        if faults := runner.status.failures:
            raise FailedTasksError(
                about=folder,
                expected=f"{len(used)} cases that can be aligned",
                got=f"{len(faults)} that cannot",
                advice="; ".join(f"{name}: {line}" for name, line in faults.items()),
            )
        return aligned

    @property
    def _alignment(self) -> Alignment:
        name = self.atlas or cases_of_split(self.cases, "train")[0].name
        by_name = {case.name: case for case in self.cases}
        if name not in by_name:
            raise InputError(
                about="atlas",
                expected="a case of the manifest",
                got=repr(name),
                advice="name the case that scans are to be aligned to",
            )
        image, _ = load_case(by_name[name])
        return Alignment(image, self.out.parent / "alignment")
