"""The pairs that a training on synthesized scans sees, as images and label maps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voltween.cohorts import Case, cases_of_split
from voltween.errors import InputError
from voltween.preprocessing import Preprocessing
from voltween.spatial import Grid, Image, LabelMap
from voltween.training.case_store import CaseStore
from voltween.training.recipe import Recipe
from voltween.training.rendering import Rendered
from voltween.training.tissues import read_tissues


@dataclass(frozen=True, eq=False)
class SynthesizedPair:
    """A synthesized pair on a canonical grid around the origin, with all structures."""

    name: str
    fixed: Image
    moving: Image
    fixed_labels: LabelMap
    moving_labels: LabelMap


def synthesized_pairs(
    cases: Sequence[Case], recipe: Recipe, *, cache: Path, count: int
) -> Iterator[SynthesizedPair]:
    """Yields the pairs of the first step of a training, as if it had so many.

    Raises:
        InputError: If the recipe synthesizes no pairs, or the cases cannot be used.
        OutputError: If the cache cannot be written to.
    """
    config = recipe.training
    if config.synthesis.share == 0:
        raise InputError(
            about="training.synthesis.share",
            expected="above 0, to synthesize pairs",
            got=0,
        )
    store = CaseStore(recipe, cache, read_tissues(config.synthesis.tissues))
    synthesizer = store.synthesizer(cases_of_split(cases, "train", fewest=1))
    for place in range(count):
        rng = np.random.default_rng([config.seed, 1, place])
        rng.uniform()  # which decides whether a pair of a training is synthesized
        (fixed, moving), name = synthesizer.sides(rng)
        yield SynthesizedPair(
            name,
            _image(fixed, recipe.preprocessing),
            _image(moving, recipe.preprocessing),
            _labels(fixed, recipe.preprocessing),
            _labels(moving, recipe.preprocessing),
        )


def _image(side: Rendered, preprocessing: Preprocessing) -> Image:
    return Image(side.image[0].numpy(), _grid(preprocessing))


def _labels(side: Rendered, preprocessing: Preprocessing) -> LabelMap:
    return LabelMap(side.labels()[0].numpy(), _grid(preprocessing))


def _grid(preprocessing: Preprocessing) -> Grid:
    signs = [1.0 if letter in "RAS" else -1.0 for letter in preprocessing.axes]
    return Grid.centered(
        preprocessing.shape,
        center_mm=np.zeros(3),
        spacing_mm=preprocessing.spacing_mm,
        directions=np.diag(signs),
    )
