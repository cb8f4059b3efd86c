"""Label maps without scans as samples to validate on: rendered once, kept on disk."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from voltween.models import write_tensors
from voltween.storage import Draft, Store, content_digest, output_folder
from voltween.training.label_volumes import LabelVolume, StoredVolumes
from voltween.training.rendering import Renderer
from voltween.training.samples import StoredSamples

_FORMAT = 1  # raised when the rendering changes: samples are made again


def store_rendered(
    volumes: StoredVolumes, renderer: Renderer, folder: Path
) -> StoredSamples:
    """Prepares each volume at rest in a random contrast, always the same one.

    Raises:
        OutputError: If the folder cannot be written to.
    """
    store, paths = Store(output_folder(folder)), []
    for number, (volume, file) in enumerate(zip(volumes, volumes.files, strict=True)):
        facts = _facts(volume, renderer) | {
            "number": number,
            "volume": content_digest(file),
        }
        paths.append(_store(volume, renderer, store, facts))
    return StoredSamples(paths, volumes.cohorts)


def _facts(volume: LabelVolume, renderer: Renderer) -> dict[str, Any]:
    """Everything but the volume's file and number that the sample depends on."""
    kinds = renderer.tissues.of(volume.cohort, volume.values.numpy())
    synthesis = asdict(renderer.synthesis)
    for name in ("share", "tissues", "teacher"):  # of the training, or in `kinds`
        del synthesis[name]
    return {
        "format": _FORMAT,
        "kind": "rendered label map",
        "preprocessing": asdict(renderer.preprocessing),
        "augmentation": asdict(renderer.augmentation),
        "synthesis": synthesis,
        "tissues": [kind.tolist() for kind in kinds],
    }


def _store(
    volume: LabelVolume, renderer: Renderer, store: Store, facts: dict[str, Any]
) -> Path:
    """The file of the sample, which is made if it is missing or damaged."""

    def make(draft: Draft) -> None:
        rng = np.random.default_rng(facts["number"])
        side = renderer.render(volume, rng, is_at_rest=True)
        path = draft.path(f"{draft.name}.safetensors")
        tensors = {"image": side.image, "labels": side.labels()}
        write_tensors(path, tensors, {"name": volume.name})

    (path,) = store.found_or_made(facts, make).paths
    return path
