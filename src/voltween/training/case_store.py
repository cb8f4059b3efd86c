"""The cases of a training, prepared as its recipe needs them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from voltween.cohorts import Case
from voltween.training.batches import PairSampler
from voltween.training.label_volumes import StoredVolumes, store_volumes
from voltween.training.recipe import Recipe
from voltween.training.rendered_maps import store_rendered
from voltween.training.rendering import Renderer
from voltween.training.samples import StoredSamples, store_samples
from voltween.training.synthetic_pairs import Synthesizer
from voltween.training.teachers import teacher_named
from voltween.training.tissues import Tissues


@dataclass(frozen=True)
class CaseStore:
    """Prepares cases as a recipe needs them: scans, masked scans, label maps."""

    recipe: Recipe
    cache: Path
    tissues: Tissues

    def pairs(self, cases: Sequence[Case]) -> PairSampler:
        """The sampler of the training pairs, without target flows."""
        config = self.recipe.training
        scans = [c for c in cases if c.has_scan and config.synthesis.share < 1]
        plain = self._scans(scans)
        masked = self._scans(scans, is_masked=True) if config.masked_share > 0 else None
        is_synthesized = config.synthesis.share > 0
        synthesizer = self.synthesizer(cases) if is_synthesized else None
        return PairSampler(plain, masked, None, config, synthesizer)

    def synthesizer(self, cases: Sequence[Case]) -> Synthesizer:
        """Synthesizes pairs of the cases with labels.

        Raises:
            InputError: If the table of tissues lacks one of their labels, or the
                teacher cannot be used.
        """
        config = self.recipe.training
        name, grid = config.synthesis.teacher, self.recipe.preprocessing
        # A teacher that cannot be used is reported before any scan is read.
        teacher = None if name is None else teacher_named(name, grid)
        most = config.labels_per_pair
        return Synthesizer(self._volumes(cases), self._renderer, most, teacher)

    def validation(self, cases: Sequence[Case]) -> StoredSamples:
        """The scans to validate on; label maps alone are shown in random contrasts."""
        scans = self._scans([case for case in cases if case.has_scan])
        maps = [case for case in cases if not case.has_scan]
        if not maps:
            return scans
        return scans + store_rendered(self._volumes(maps), self._renderer, self.cache)

    @property
    def _renderer(self) -> Renderer:
        config = self.recipe.training
        return Renderer(
            self.recipe.preprocessing,
            config.synthesis,
            config.augmentation,
            self.tissues,
        )

    def _scans(
        self, cases: Sequence[Case], *, is_masked: bool = False
    ) -> StoredSamples:
        return store_samples(
            cases, self.recipe.preprocessing, self.cache, is_masked=is_masked
        )

    def _volumes(self, cases: Sequence[Case]) -> StoredVolumes:
        """The label maps.

        Raises:
            InputError: If the table of tissues lacks one of their labels.
        """
        subdivision = self.recipe.training.synthesis.subdivision
        volumes = store_volumes(
            cases, self.recipe.preprocessing, self.cache, subdivision
        )
        for volume in volumes:
            self.tissues.of(volume.cohort, volume.values.numpy())
        return volumes
