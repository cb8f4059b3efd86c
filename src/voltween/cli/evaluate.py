"""Command: measure a model on the pairs of a cohort."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from voltween.cli.console import show_markdown
from voltween.cli.engine import EngineOptions, list_failures
from voltween.cli.exit_codes import EXIT_SOME_FAILED
from voltween.cli.results import give_result
from voltween.cohorts import Case, cases_of_split, read_manifest
from voltween.evaluation import (
    EvaluationInterrupted,
    EvaluationProtocol,
    Method,
    PairSelection,
    check_report_folder,
    evaluate,
    model_method,
    write_report,
)


@dataclass(frozen=True)
class Evaluate:
    """Measure a model on pairs of a cohort: overlap, distances, folding.

    It writes one row per pair (pairs.csv, with a verdict), structure (structures.csv)
    and stage (stages.csv), their summaries as CSV, Markdown and LaTeX, and plots.
    Finished pairs are not measured again: repeat the command to continue an interrupted
    run. Pairs of cases that cannot be used fail, are listed, and make the exit code 1.
    """

    manifest: Annotated[Positional[Path], tyro.conf.arg(metavar="MANIFEST")]
    """CSV of cases; overlap needs labels, landmark distances need points."""
    out: Path
    """Folder for the tables."""
    model: str
    """Shipped model or model file."""
    device: str = "cpu"
    """Device of the model: cpu, cuda, or auto for a GPU if there is one."""
    selection: Annotated[PairSelection, tyro.conf.arg(name="")] = field(
        default_factory=PairSelection
    )
    protocol: Annotated[EvaluationProtocol, tyro.conf.arg(name="")] = field(
        default_factory=EvaluationProtocol
    )
    engine: Annotated[EngineOptions, tyro.conf.arg(name="")] = field(
        default_factory=EngineOptions
    )

    def run(self) -> None:
        """Measure and write."""
        cases = read_manifest(self.manifest, may_lack_files=True)
        cases = cases_of_split(cases, self.selection.split)
        method = model_method(f"model:{self.model}", self.model, device=self.device)
        measure_pairs(
            [method],
            cases,
            selection=self.selection,
            protocol=self.protocol,
            engine=self.engine,
            out=self.out,
        )


def measure_pairs(
    methods: list[Method],
    cases: tuple[Case, ...],
    *,
    selection: PairSelection,
    protocol: EvaluationProtocol,
    engine: EngineOptions,
    out: Path,
) -> None:
    """Measures methods on the chosen pairs and shows the progress; writes the report.

    The process ends with code 1 if pairs failed, or no method could run here.
    """
    check_report_folder(out)
    pairs = selection.choose(cases)
    with engine.running(out) as runner:
        try:
            scores = evaluate(
                methods,
                cases,
                pairs=pairs,
                out=out,
                protocol=protocol,
                runner=runner,
            )
        except EvaluationInterrupted as stop:
            write_report(stop.scores, out)
            raise
    write_report(scores, out)
    failed = [score for score in scores.pairs if score.status == "failed"]
    give_result(out=out, pairs=len(scores.pairs), failed=len(failed))
    show_markdown((out / "summary.md").read_text(encoding="utf-8"))
    list_failures(runner.status)
    statuses = {score.status for score in scores.pairs}
    if failed or statuses == {"unavailable"}:
        sys.exit(EXIT_SOME_FAILED)
