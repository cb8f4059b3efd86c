"""The choice of a model for two scans, and the check of one that was chosen by hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from voltween.errors import InputError
from voltween.models.fingerprint import Fit, ModelFingerprint
from voltween.models.library import shipped_models
from voltween.models.model import Model, fingerprint_in
from voltween.models.scan_facts import ScanFacts, measure_scan
from voltween.spatial import Image
from voltween.storage import naming


@dataclass(frozen=True)
class Choice:
    """The model that fits two scans."""

    name: str | None
    """Name of a shipped model; None if none fits both scans."""
    reason: str
    """The reason in words."""


def choose_model(fixed: Image, moving: Image, *, must_be_alike: bool = True) -> Choice:
    """Chooses the shipped model whose training scans are like both scans, or none.

    If they must not be alike, one may be stripped and the other whole.

    Raises:
        InputError: If a scan is constant.
    """
    return choose_among(
        shipped_fingerprints(), fixed, moving, must_be_alike=must_be_alike
    )


def choose_among(
    fingerprints: Mapping[str, ModelFingerprint],
    fixed: Image,
    moving: Image,
    *,
    must_be_alike: bool = True,
) -> Choice:
    """Chooses the model whose training scans are like both scans, or none.

    Raises:
        InputError: If a scan is constant.
    """
    scans = measure_pair(fixed, moving)
    faults = {}
    # A CT stored with 1000 added may pass for a T1 scan of a head, but not vice versa.
    ct_first = sorted(fingerprints.items(), key=lambda item: not item[1].is_ct)
    for name, fingerprint in ct_first:
        fits = [fingerprint.fit(scan) for scan in scans.values()]
        fault = _fault(*fits) if must_be_alike else _fault_of_each(*fits)
        if not fault:
            return Choice(name, "both scans are like those that the model learned from")
        faults[name] = fault
    listed = "; ".join(f"{name}: {fault}" for name, fault in faults.items())
    return Choice(None, f"no model learned from such scans ({listed})")


def check_fit(model: Model, fixed: Image, moving: Image) -> tuple[str, ...]:
    """Warns, in words, where two scans are not like those that a model learned from.

    Nothing is said of a model without a fingerprint.

    Raises:
        InputError: If a scan is so different that no answer can be right.
    """
    if model.fingerprint is None:
        return ()
    scans = measure_pair(fixed, moving)
    fits = {name: model.fingerprint.fit(scan) for name, scan in scans.items()}
    for name, fit in fits.items():
        if fit.verdict == "impossible":
            raise InputError(
                about=f"model {model.name} with the {name}",
                expected="scans of the kind that the model learned from",
                got=f"another kind: {fit.reason}",
                advice="take another model, or none",
            )
    fault = _fault(*fits.values())
    return (f"the model {model.name} may be wrong here: {fault}",) if fault else ()


@cache
def shipped_fingerprints() -> dict[str, ModelFingerprint]:
    """The fingerprints of the shipped models, by name, without their weights."""
    found = {name: fingerprint_in(facts) for name, facts in shipped_models()}
    return {name: each for name, each in found.items() if each is not None}


def measure_pair(fixed: Image, moving: Image) -> dict[str, ScanFacts]:
    """The facts of both scans, whose names errors carry."""
    facts = {}
    for name, scan in (("fixed scan", fixed), ("moving scan", moving)):
        with naming(name):
            facts[name] = measure_scan(scan)
    return facts


def _fault(fixed: Fit, moving: Fit) -> str:
    """The reason why two scans do not fit; empty if they do."""
    fault = _fault_of_each(fixed, moving)
    if not fault and fixed.appearance != moving.appearance:
        return (
            f"the fixed scan looks like the training scans {fixed.appearance}, the "
            f"moving scan like those {moving.appearance}, and the model never saw the "
            "two together"
        )
    return fault


def _fault_of_each(fixed: Fit, moving: Fit) -> str:
    """The reason why either scan does not fit; empty if both do."""
    if fixed.verdict != "fits" and fixed.reason == moving.reason:
        return f"both scans: {fixed.reason}"
    faults = [
        f"{name} scan: {fit.reason}"
        for name, fit in (("fixed", fixed), ("moving", moving))
        if fit.verdict != "fits"
    ]
    return "; ".join(faults)
