"""The fingerprint of a model: what its training scans are like, and what fits them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from voltween.models.scan_facts import Body, ScanFacts, Three, measure_scan, three
from voltween.models.template import Likeness, Template
from voltween.spatial import Image

Verdict = Literal["fits", "doubtful", "impossible"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
"""All verdicts, from the best to the worst."""

_MASKED = "masked"
_SIZE_TOLERANCE = 1.25  # factor beyond the training scans within which a scan fits
_SIZE_LIMIT = 2.0  # beyond which no answer can be right
_BORDER_TOLERANCE = 0.1
_SPACING_LIMIT = 3.0
_NARROWEST_CT = 500.0  # Hounsfield units between the lowest and highest value of a CT
_FEWEST_SCANS = 2


@dataclass(frozen=True)
class Spread:
    """Smallest and largest value of a quantity over the training scans."""

    smallest: Three
    largest: Three


@dataclass(frozen=True)
class Appearance:
    """One way in which the training scans look."""

    name: str
    """As stored, or masked by the labels."""
    scans: int
    """Number of scans measured."""
    extent_mm: Spread
    """Extent of the scans along R, A and S."""
    spacing_mm: Spread
    """Voxel size along R, A and S."""
    sides_mm: Spread
    """Sides, ascending, of a box with the foreground's second moments."""
    border_share: tuple[float, float]
    """Smallest and largest share of the outermost voxels that are foreground."""
    template: Template


@dataclass(frozen=True)
class Fit:
    """Whether a scan is of the kind that a model learned from."""

    verdict: Verdict
    reason: str
    """The reason in words; empty if the scan fits."""
    appearance: str
    """The way of looking that the scan is nearest to."""


@dataclass(frozen=True)
class ModelFingerprint:
    """Properties of the training scans of a model."""

    is_ct: bool
    """Whether they are CT in Hounsfield units, possibly with 1000 added."""
    appearances: tuple[Appearance, ...]
    """The ways in which they look: as stored, and masked if the training masks."""

    @classmethod
    def of(
        cls, scans: Iterable[Image], *, masked: Iterable[Image] = (), is_ct: bool
    ) -> "ModelFingerprint | None":
        """Measures training scans, and the same scans masked if the training masks.

        Returns None if fewer than two scans have a foreground of this modality.

        Raises:
            InputError: If a scan is constant.
        """
        sets = {"as stored": scans, _MASKED: masked}
        found = (_appearance(name, some, is_ct=is_ct) for name, some in sets.items())
        appearances = tuple(each for each in found if each is not None)
        return cls(is_ct, appearances) if appearances else None

    def fit(self, facts: ScanFacts, *, any_contrast: bool = False) -> Fit:
        """Says whether a scan fits, and why not.

        Args:
            facts: What was measured of the scan.
            any_contrast: Whether the intensities may differ from the training scans',
                so that size alone counts.
        """
        wrong = self._modality_fault(facts)
        body = facts.ct_body if self.is_ct else facts.body
        if wrong is not None or body is None:
            return wrong or Fit("doubtful", "nothing in the scan is bright", "")
        fits = []
        for appearance in self.appearances:
            fits.append(
                _fit_of_size(facts, body, appearance)
                if any_contrast
                else _fit(facts, body, appearance)
            )
            if fits[-1].verdict == "fits":
                return fits[-1]
        doubtful = [fit for fit in fits if fit.verdict == "doubtful"]
        return (doubtful or fits)[0]

    def size_fault(self, scan: Image, *, is_masked: bool = False) -> str:
        """Says in words why what a scan shows is too small or too large; else nothing.

        Args:
            scan: The scan.
            is_masked: Whether it should have the size of the masked training scans,
                and not that of either kind.

        Raises:
            InputError: If the scan is constant.
        """
        facts = measure_scan(scan)
        body = facts.ct_body if self.is_ct else facts.body
        if body is None:
            return "what the scan shows cannot be measured"
        looks = [a for a in self.appearances if a.name == _MASKED or not is_masked]
        if not looks:
            return "the model learned from no masked scan"
        faults = [_size_fault(facts, body, each) for each in looks]
        reasons = [fault.reason for fault in faults if fault is not None]
        return reasons[0] if len(reasons) == len(faults) else ""

    def __str__(self) -> str:
        """The modality and the longest side of what the training scans show."""
        kind = "CT" if self.is_ct else "not CT"
        looks = (
            f"{each.name} {each.sides_mm.smallest[2]:.0f} to "
            f"{each.sides_mm.largest[2]:.0f} mm long"
            for each in self.appearances
        )
        return ", ".join([kind, *looks])

    def _modality_fault(self, facts: ScanFacts) -> Fit | None:
        """The fault of a scan whose intensities are of another kind."""
        if facts.is_label_map:
            return Fit("doubtful", "the scan looks like a label map", "")
        low, high = facts.values
        if not self.is_ct and facts.is_certainly_ct:
            reason = "the scan is a CT, and the model learned from other scans"
            return Fit("impossible", reason, "")
        if not self.is_ct or facts.ct_body is not None:
            return None
        reason = (
            "the model learned from CT in Hounsfield units, and the scan's values, "
            f"{low:.4g} to {high:.4g}, are not such units"
        )
        is_scaled = high - low < _NARROWEST_CT
        return Fit("impossible" if is_scaled else "doubtful", reason, "")


def _appearance(name: str, scans: Iterable[Image], *, is_ct: bool) -> Appearance | None:
    facts = [measure_scan(scan) for scan in scans]
    pairs = [(each, each.ct_body if is_ct else each.body) for each in facts]
    whole = [(each, body) for each, body in pairs if body is not None]
    if len(whole) < _FEWEST_SCANS:
        return None
    bodies = [body for _, body in whole]
    shares = [body.border_share for body in bodies]
    return Appearance(
        name=name,
        scans=len(whole),
        extent_mm=_spread([each.extent_mm for each, _ in whole]),
        spacing_mm=_spread([each.spacing_mm for each, _ in whole]),
        sides_mm=_spread([body.sides_mm for body in bodies]),
        border_share=(round(min(shares), 4), round(max(shares), 4)),
        template=Template.of(bodies),
    )


def _spread(values: Sequence[Three]) -> Spread:
    rounded = np.round(values, 3)
    return Spread(three(rounded.min(axis=0)), three(rounded.max(axis=0)))


def _fit(facts: ScanFacts, body: Body, appearance: Appearance) -> Fit:
    """Compares a scan with one way of looking: size first, then likeness."""
    size_fault = _size_fault(facts, body, appearance)
    if size_fault is not None and size_fault.verdict == "impossible":
        return size_fault
    likeness = appearance.template.likeness(body)
    if not appearance.template.is_like(likeness):
        reason = _unlike(likeness, appearance.template.smallest)
        return Fit("doubtful", reason, appearance.name)
    if size_fault is not None:
        return size_fault
    reason = _border_fault(body, appearance) or _spacing_fault(facts, appearance)
    return Fit("doubtful" if reason else "fits", reason, appearance.name)


def _fit_of_size(facts: ScanFacts, body: Body, appearance: Appearance) -> Fit:
    """Compares the size and the voxels of a scan with one way of looking."""
    size_fault = _size_fault(facts, body, appearance)
    if size_fault is not None:
        return size_fault
    reason = _spacing_fault(facts, appearance)
    return Fit("doubtful" if reason else "fits", reason, appearance.name)


def _size_fault(facts: ScanFacts, body: Body, appearance: Appearance) -> Fit | None:
    """The fault of a foreground that is too small or too large."""
    spread = appearance.sides_mm
    ratios = np.maximum(
        np.divide(body.sides_mm, spread.largest),
        np.divide(spread.smallest, body.sides_mm),
    )
    if ratios.max() <= _SIZE_TOLERANCE:
        return None
    reason = (
        f"what the scan shows measures {_sides(body.sides_mm)} mm, and what the model "
        f"learned from {_sides(spread.smallest)} to {_sides(spread.largest)} mm "
        f"(the scan: {_sides(facts.extent_mm)} mm)"
    )
    is_impossible = ratios.max() > _SIZE_LIMIT
    return Fit("impossible" if is_impossible else "doubtful", reason, appearance.name)


def _unlike(likeness: Likeness, smallest: Likeness) -> str:
    if likeness.brightness < 0 and likeness.foreground >= smallest.foreground:
        return "the contrast is inverted: bright where the training scans are dark"
    if likeness.foreground < smallest.foreground:
        what, found, least = "shape", likeness.foreground, smallest.foreground
    else:
        what, found, least = "contrast", likeness.brightness, smallest.brightness
    return (
        f"its {what} is not that of the training scans (correlation {found:.2f} with "
        f"their mean, at least {least:.2f} expected)"
    )


def _border_fault(body: Body, appearance: Appearance) -> str:
    low, high = appearance.border_share
    share = body.border_share
    if low - _BORDER_TOLERANCE <= share <= high + _BORDER_TOLERANCE:
        return ""
    return (
        f"{share:.0%} of the scan's border shows tissue, {low:.0%} to {high:.0%} in "
        "the training scans: another field of view"
    )


def _spacing_fault(facts: ScanFacts, appearance: Appearance) -> str:
    coarsest, largest = max(facts.spacing_mm), max(appearance.spacing_mm.largest)
    if coarsest <= _SPACING_LIMIT * largest:
        return ""
    return (
        f"its voxels are up to {coarsest:.3g} mm, those of the training scans up to "
        f"{largest:.3g} mm"
    )


def _sides(sides_mm: Three) -> str:
    return " x ".join(f"{side:.3g}" for side in sides_mm)
