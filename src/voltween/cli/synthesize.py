"""Command: show the pairs that a training on synthesized scans sees."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import torch
import tyro
from PIL import Image as Picture
from tyro.conf import Positional

from voltween import io
from voltween.batches import read_label_maps
from voltween.cli.progress import case_progress
from voltween.cli.results import report_written
from voltween.cohorts import Case
from voltween.errors import check_range
from voltween.figures import tweening_picture
from voltween.storage import check_is_no_input, output_folder, whole_file, workspace
from voltween.training import (
    Recipe,
    SynthesizedPair,
    measure_fingerprint,
    plan,
    read_plan,
    synthesized_pairs,
)

_MOST_PAIRS = 10_000
_PICTURE = "pair.png"
_FILES = (
    *("fixed.nii.gz", "moving.nii.gz", _PICTURE),
    *("fixed_labels.nii.gz", "moving_labels.nii.gz"),
)


@dataclass(frozen=True)
class Synthesize:
    """Show the pairs that a training on synthesized scans sees.

    LABELS is a label map, a folder of label maps, or a manifest: a CSV with the columns
    case, labels, split, and image for cases that have a scan. The settings are those
    that `voltween plan` would decide, or give such a plan (TOML) with
    [training.synthesis]. Every pair is a folder in --out with both images, the label
    maps of both, and a picture. Images are the same for the same plan and seed.
    """

    source: Annotated[Positional[Path], tyro.conf.arg(metavar="LABELS_OR_PLAN")]
    """Label map, folder of label maps, manifest, or TOML plan."""
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
        decided = read_plan(self.source) if self.source.suffix == ".toml" else None
        cases = read_label_maps(decided.manifest if decided else self.source)
        self._check_out()
        recipe = decided.recipe if decided else self._planned(cases)
        if self.seed is not None:
            recipe = replace(recipe, training=replace(recipe.training, seed=self.seed))
        with nullcontext(self.cache) if self.cache else workspace() as cache:
            drawn = synthesized_pairs(cases, recipe, cache=cache, count=self.pairs)
            for folder, pair in zip(self._folders, drawn, strict=True):
                _write(pair, folder)
                report_written(folder, pair.name)

    @property
    def _folders(self) -> list[Path]:
        return [self.out / f"pair{n:03d}" for n in range(1, self.pairs + 1)]

    def _check_out(self) -> None:
        for folder in self._folders:
            for name in _FILES:
                check_is_no_input(folder / name)

    def _planned(self, cases: Sequence[Case]) -> Recipe:
        """The recipe that `voltween plan` decides, whether cases have scans or not."""
        with case_progress(len(cases)) as on_case:
            fingerprint = measure_fingerprint(cases, on_case, fewest=1)
        bare = replace(fingerprint, without_scan=fingerprint.cases)
        return plan(self.source, bare, has_gpu=torch.cuda.is_available())[0].recipe


def _write(pair: SynthesizedPair, folder: Path) -> None:
    """Writes a pair and its picture."""
    output_folder(folder)
    for side in ("fixed", "moving"):
        io.write(getattr(pair, side), folder / f"{side}.nii.gz")
        io.write(getattr(pair, f"{side}_labels"), folder / f"{side}_labels.nii.gz")
    frames = {"fixed": pair.fixed.data, "moving": pair.moving.data}
    picture = Picture.fromarray(tweening_picture(pair.name, frames))
    with whole_file(folder / _PICTURE) as partial:
        picture.save(partial, format="png")
