"""Networks that tell the structures of a scan, as features to register by.

They are shipped as `models/features/ORGAN.safetensors`, each with a card beside it.
"""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from voltween.errors import FitWarning, InputError
from voltween.models.choice import measure_pair
from voltween.models.facts import dataclass_from_facts
from voltween.models.fingerprint import VERDICTS, Fit, ModelFingerprint
from voltween.models.library import models_in, shipped_folder
from voltween.models.model import fingerprint_in, naming_misfits
from voltween.models.scan_facts import ScanFacts
from voltween.models.tensor_files import (
    SUFFIX,
    check_finite,
    read_tensors,
    tensors_under,
    write_tensors,
)
from voltween.networks import FeatureConfig, FeatureNetwork
from voltween.preprocessing import (
    check_has_contrast,
    foreground_range,
)
from voltween.spatial import Grid, Image, Transform
from voltween.storage import content_digest

_NETWORK = "network."
_FOLDER = "features"
_PERCENTILES = 0.5, 99.5


@dataclass(frozen=True, eq=False)
class FeatureModel:
    """A trained network of features, with all that is needed to use it."""

    name: str
    """Name of the features, and of the model that registers scans to the template."""
    network: FeatureNetwork
    template: Image
    """Mean of training scans, with which scans are registered first."""
    grid: Grid
    """The network's grid, in the template's world."""
    provenance: dict[str, Any]
    """Data, settings, steps, package version, measured results."""
    fingerprint: ModelFingerprint | None = None
    """Fingerprint of its training scans."""
    is_for_any_contrast: bool = False
    """Whether the network learned from scans in random intensities."""

    def fit(self, scans: Mapping[str, ScanFacts]) -> Fit:
        """Says whether the scans fit, named by what they are called."""
        if self.fingerprint is None:
            return Fit("fits", "", "")
        fits = {
            name: self.fingerprint.fit(facts, any_contrast=self.is_for_any_contrast)
            for name, facts in scans.items()
        }
        worst = max(fits.values(), key=lambda fit: VERDICTS.index(fit.verdict))
        faults = [f"{name}: {fit.reason}" for name, fit in fits.items() if fit.reason]
        return replace(worst, reason="; ".join(faults))

    def of(self, scan: Image, template_to_scan: Transform) -> "FeatureVolume":
        """The features of a scan, in the template's world.

        Raises:
            InputError: If the scan is constant within the network's grid.
        """
        placed = template_to_scan.resample(scan, onto=self.grid)
        image = torch.from_numpy(normalize_features(placed))[None, None]
        with torch.no_grad():
            shares = self.network.describe(image)
        return FeatureVolume(shares[0].numpy(), self.grid)


@dataclass(frozen=True, eq=False)
class FeatureVolume:
    """The share of every group of structures in every voxel; they add up to 1."""

    shares: Float[np.ndarray, "groups i j k"]
    """The first group is the background."""
    grid: Grid


def normalize_features(image: Image) -> Float[np.ndarray, "i j k"]:
    """Intensities from 0 to 1 in single precision, as the network is trained on.

    Raises:
        InputError: If the image is constant.
    """
    check_has_contrast(image)
    low, high = foreground_range(image, _PERCENTILES)
    return ((image.data - low) / (high - low)).clip(0, 1).astype(np.float32)


def choose_features(fixed: Image, moving: Image, model_name: str = "") -> FeatureModel:
    """The shipped features for the organ that both scans show.

    A `FitWarning` says where a scan is not like those that the features learned from.

    Args:
        fixed: The fixed scan.
        moving: The moving scan.
        model_name: The model that registers them; features of its name are preferred,
            as it says which contrasts are expected.

    Raises:
        InputError: If there are no features for such scans, or a scan is constant.
    """
    scans = measure_pair(fixed, moving)
    models = [_kept(path) for path in _shipped().values()]
    fits = {model.name: model.fit(scans) for model in models}
    possible = [m for m in models if fits[m.name].verdict != "impossible"]
    if not possible:
        raise InputError(
            about="learned features",
            expected="two scans of an organ that features were learned for",
            got=f"others ({_reasons(fits) or 'no features are installed'})",
            advice="take another similarity",
        )
    by_name = [model for model in possible if model.name == model_name]
    chosen = min(by_name or possible, key=lambda model: _rank(model, fits[model.name]))
    fault = fits[chosen.name].reason
    if fault:
        text = f"the features of {chosen.name} may be wrong here: {fault}"
        warnings.warn(text, FitWarning, stacklevel=2)
    return chosen


def _reasons(fits: Mapping[str, Fit]) -> str:
    """Says why features do not fit; each reason once, after all that it holds for."""
    names: dict[str, list[str]] = {}
    for name, fit in fits.items():
        names.setdefault(fit.reason, []).append(name)
    return "; ".join(f"{' and '.join(some)}: {why}" for why, some in names.items())


def _rank(model: FeatureModel, fit: Fit) -> int:
    """Ranks features for two scans: 0 is the first choice.

    Those of the scans' own contrast come first. In doubt, those of any contrast do,
    because the doubt is often about the contrast.
    """
    is_for_any = int(model.is_for_any_contrast)
    return is_for_any if fit.verdict == "fits" else 3 - is_for_any


def shipped_features() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields name and description of all shipped features, in alphabetical order."""
    for name, path in _shipped().items():
        yield name, read_tensors(path)[1]


def features_digest(name: str) -> str:
    """SHA-256 of the file of shipped features."""
    return content_digest(_shipped()[name])


def _shipped() -> dict[str, Path]:
    """The files of the shipped features by their names."""
    return models_in(shipped_folder() / _FOLDER)


@lru_cache(maxsize=2)
def _kept(path: Path) -> FeatureModel:
    """The features of a file, read once."""
    return load_features(path)


def load_features(path: Path) -> FeatureModel:
    """Loads a network of features from its file.

    Raises:
        InputError: If the file is missing, damaged or of another kind.
    """
    tensors, description = read_tensors(path)
    check_finite(tensors, path)
    with naming_misfits(path):
        config = dataclass_from_facts(
            FeatureConfig, description["features"], "features"
        )
        network = FeatureNetwork(config)
        network.load_state_dict(tensors_under(_NETWORK, tensors))
        places = {n: np.array(description[n]) for n in ("template_affine", "affine")}
        template = tensors["template"].numpy()
        i, j, k = template.shape
        model = FeatureModel(
            path.name.removesuffix(SUFFIX),
            network.eval(),
            Image(template, Grid((i, j, k), places["template_affine"])),
            Grid(config.shape, places["affine"]),
            description.get("provenance", {}),
            fingerprint_in(description),
            description.get("is_for_any_contrast", False),
        )
    return model


def save_features(model: FeatureModel, path: Path) -> Path:
    """Writes a network of features to one file, in half precision; returns its path.

    Raises:
        OutputError: If the file cannot be written.
    """
    weights = model.network.state_dict()
    halves = {f"{_NETWORK}{name}": weight.half() for name, weight in weights.items()}
    halves["template"] = torch.from_numpy(model.template.data.copy()).half()
    description = {
        "features": asdict(model.network.config),
        "template_affine": model.template.grid.affine.tolist(),
        "affine": model.grid.affine.tolist(),
        "provenance": model.provenance,
        "fingerprint": asdict(model.fingerprint) if model.fingerprint else None,
        "is_for_any_contrast": model.is_for_any_contrast,
    }
    return write_tensors(path, halves, description)
