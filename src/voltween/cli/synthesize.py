"""Command: show the pairs that a training on synthesized scans sees."""

from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import torch
import tyro
from PIL import Image as Picture
from tyro.conf import Positional

from voltween import io
from voltween.cli.console import case_progress, console
from voltween.cohorts import Case, read_manifest
from voltween.errors import check_range
from voltween.figures import tweening_picture
from voltween.files import output_folder, whole_file
from voltween.inputs import check_is_no_input
from voltween.training import (
    Recipe,
    SynthesizedPair,
    measure_fingerprint,
    plan,
    read_plan,
    synthesized_pairs,
)
from voltween.workspaces import workspace

_MOST_PAIRS = 10_000


@dataclass(frozen=True)
class Synthesize:
    """Show the pairs that a training on synthesized scans sees.

    Give a plan with [training.synthesis], or a manifest of label maps: a CSV with the
    columns case, labels, split, and image for cases that have a scan. Every pair is a
    folder in --out with both images, the label maps of both, and a picture. Images are
    the same for the same plan and seed.
    """

    source: Annotated[Positional[Path], tyro.conf.arg(metavar="LABELS_OR_PLAN")]
    """CSV of label maps, whose plan is then that of `voltween plan`, or a TOML plan."""
    out: Path
    """Folder for the pairs."""
    pairs: int = 4
    """Number of pairs."""
    seed: int | None = None
    """Seed of the pairs; if not given, that of the plan."""
    cache: Path | None = None
    """Folder for label maps on the network's grid, such as that of a training; if not
    given, they are prepared for this command alone."""

    def run(self) -> None:
        """Prepare the label maps, synthesize, write."""
        check_range("--pairs", self.pairs, 1, _MOST_PAIRS)
        cases, recipe = self._cases_and_recipe()
        if self.seed is not None:
            recipe = replace(recipe, training=replace(recipe.training, seed=self.seed))
        with nullcontext(self.cache) if self.cache else workspace() as cache:
            drawn = synthesized_pairs(cases, recipe, cache=cache, count=self.pairs)
            for number, pair in enumerate(drawn, 1):
                self._write(pair, self.out / f"pair{number:03d}")
                console.print(f"pair{number:03d}: {pair.name}")

    def _cases_and_recipe(self) -> tuple[tuple[Case, ...], Recipe]:
        if self.source.suffix == ".toml":
            decided = read_plan(self.source)
            return read_manifest(decided.manifest, may_lack_scans=True), decided.recipe
        cases = read_manifest(self.source, may_lack_scans=True)
        with case_progress(len(cases)) as on_case:
            fingerprint = measure_fingerprint(cases, on_case)
        decided, _ = plan(
            self.source,
            replace(fingerprint, without_scan=fingerprint.cases),
            has_gpu=torch.cuda.is_available(),
        )
        return cases, decided.recipe

    def _write(self, pair: SynthesizedPair, folder: Path) -> None:
        output_folder(folder)
        volumes = {
            "fixed": pair.fixed,
            "moving": pair.moving,
            "fixed_labels": pair.fixed_labels,
            "moving_labels": pair.moving_labels,
        }
        for name, volume in volumes.items():
            check_is_no_input(folder / f"{name}.nii.gz")
            io.write(volume, folder / f"{name}.nii.gz")
        frames = {"fixed": pair.fixed.data, "moving": pair.moving.data}
        picture = Picture.fromarray(tweening_picture(pair.name, frames))
        check_is_no_input(folder / "pair.png")
        with whole_file(folder / "pair.png") as partial:
            picture.save(partial, format="png")
