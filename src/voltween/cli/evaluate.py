"""Command: measure a model on the pairs of a cohort."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from voltween.cli import console
from voltween.cohorts import (
    Case,
    Pair,
    atlas_pairs,
    cases_of_split,
    draw_pairs,
    ordered_pairs,
    read_manifest,
    read_pairs,
)
from voltween.errors import InputError
from voltween.evaluation import Method, Protocol, evaluate, model_method, write_report


@dataclass(frozen=True)
class Choice:
    """Which pairs of a cohort."""

    split: str = "val"
    """Cases to pair: train, val or test."""
    pairs: Literal["all", "atlas", "list"] = "all"
    """All ordered pairs, all others onto one case, or those of a list."""
    atlas: str | None = None
    """Case to be the fixed one of all pairs; if not given, the first."""
    pair_list: Path | None = None
    """CSV with columns fixed and moving."""
    max_pairs: int = 0
    """Pairs to measure, drawn by a fixed seed; 0 takes all."""

    def of(self, cases: tuple[Case, ...]) -> list[Pair]:
        """The pairs.

        Raises:
            InputError: If options do not fit each other, or name what is not there.
        """
        if (self.pairs == "list") != (self.pair_list is not None):
            raise InputError("--pairs list and --pair-list FILE belong together")
        if self.atlas is not None and self.pairs != "atlas":
            raise InputError("--atlas needs --pairs atlas")
        names = [case.name for case in cases]
        if self.pair_list is not None:
            pairs = read_pairs(self.pair_list)
        elif self.pairs == "atlas":
            pairs = atlas_pairs(names, self.atlas or names[0])
        else:
            pairs = ordered_pairs(names)
        return draw_pairs(pairs, self.max_pairs)


@dataclass(frozen=True)
class Evaluate:
    """Measure a model on pairs of a manifest's cases: overlap, distances, folding.

    Writes a row a pair (pairs.csv), a structure (structures.csv) and a stage
    (stages.csv), their summaries as CSV, Markdown and LaTeX, and pictures. Pairs that
    are finished are not measured again: give the same command to go on.
    """

    manifest: Annotated[Positional[Path], tyro.conf.arg(metavar="MANIFEST")]
    """CSV of cases; overlap needs labels, landmark distances need points."""
    out: Path
    """Folder for the tables."""
    model: str
    """Shipped model or model file."""
    device: str = "cpu"
    """Where the model computes, such as cpu or cuda."""
    choice: Annotated[Choice, tyro.conf.arg(name="")] = field(default_factory=Choice)
    protocol: Annotated[Protocol, tyro.conf.arg(name="")] = field(
        default_factory=Protocol
    )

    def run(self) -> None:
        """Measure and write."""
        cases = cases_of_split(read_manifest(self.manifest), self.choice.split)
        method = model_method(f"model:{self.model}", self.model, device=self.device)
        measure_pairs([method], cases, self.choice, self.protocol, self.out)


def measure_pairs(
    methods: list[Method],
    cases: tuple[Case, ...],
    choice: Choice,
    protocol: Protocol,
    out: Path,
) -> None:
    """Measures methods on the chosen pairs with a progress bar; writes the report."""
    pairs = choice.of(cases)
    with console.pair_progress(len(pairs) * len(methods)) as on_pair:
        scores = evaluate(
            methods, cases, pairs=pairs, out=out, protocol=protocol, on_pair=on_pair
        )
    write_report(scores, out)
    console.show_markdown((out / "summary.md").read_text())
