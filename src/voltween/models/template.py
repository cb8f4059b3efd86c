"""The coarse mean image of a model's training scans, and how alike a scan is to it.

Foreground and brightness are compared apart: the first tells a head from a crop or an
abdomen, the second a contrast from another one. Both are sampled around the centroid of
the foreground and scaled to its size, in the scan's pose and, where that does not fit,
in poses all over the rotations.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from voltween.models.scan_facts import Body
from voltween.spatial import Affine, Grid, Image, smooth

_SIDE = 12  # voxels
_MARGIN = 1.3  # width of the template, in largest sides of the foreground
_SMOOTHING = 0.4  # SD of the smoothing, in voxels of the template
_REACH = 2.0  # of the smoothing, in standard deviations
_SMALLEST_FOREGROUND = 0.3  # below, brightness means nothing
_ROTATIONS = 300
_FOREGROUND_SLACK = 0.1
_BRIGHTNESS_SHARE = 0.4

_Samples = Float[np.ndarray, "n voxels"]


class Likeness(NamedTuple):
    """Likeness of a scan to a template, in the best of the compared poses."""

    foreground: float
    """Correlation of the foregrounds."""
    brightness: float
    """Correlation of the brightness where both are foreground; negative if the
    contrast is inverted."""


@dataclass(frozen=True)
class Template:
    """The mean of training scans, 12^3 voxels, and how alike they are to it."""

    width: float
    """Width in sizes of the foreground, the geometric mean of its sides."""
    foreground: str
    """Mean foreground, 0 to 255, one byte per voxel, in Base64."""
    brightness: str
    """Mean brightness of the foreground, in the same form; 0 where there is little."""
    least: tuple[float, float]
    """Smallest correlation of foreground and of brightness of a training scan with the
    mean of the others."""

    @classmethod
    def of(cls, bodies: Sequence[Body]) -> "Template":
        """The mean of at least two scans."""
        ratios = [body.sides_mm[2] / body.size_mm for body in bodies]
        width = round(_MARGIN * float(np.median(ratios)), 4)
        pairs = [_Smooth.of(body, width).sample(np.eye(3)[None]) for body in bodies]
        foreground = np.concatenate([pair[0] for pair in pairs])
        brightness = np.concatenate([pair[1] for pair in pairs])
        left_out = [
            _compare(
                foreground[[n]],
                brightness[[n]],
                *_mean(np.delete(foreground, n, 0), np.delete(brightness, n, 0)),
            )
            for n in range(len(bodies))
        ]
        least = np.min([np.concatenate(pair) for pair in left_out], axis=0)
        mean_foreground, mean_brightness = _mean(foreground, brightness)
        return cls(
            width=width,
            foreground=_encode(mean_foreground),
            brightness=_encode(mean_brightness),
            least=(round(float(least[0]), 4), round(float(least[1]), 4)),
        )

    @property
    def smallest(self) -> Likeness:
        """Smallest correlations at which a scan is of the same kind.

        Scans of other sites and templates are less alike than the training scans are.
        """
        foreground, brightness = self.least
        return Likeness(
            foreground - _FOREGROUND_SLACK, max(0.0, brightness * _BRIGHTNESS_SHARE)
        )

    def is_like(self, likeness: Likeness) -> bool:
        """Whether the correlations reach the smallest ones."""
        smallest = self.smallest
        return (
            likeness.foreground >= smallest.foreground
            and likeness.brightness >= smallest.brightness
        )

    def likeness(self, body: Body) -> Likeness:
        """Compares a scan, in its own pose and, if that does not fit, in many."""
        smooth = _Smooth.of(body, self.width)
        own = self._best(smooth, np.eye(3)[None])
        return own if self.is_like(own) else self._best(smooth, rotations())

    def _best(self, body: "_Smooth", poses: Float[np.ndarray, "n 3 3"]) -> Likeness:
        """The pose in which the scan is most alike, or most alike when inverted."""
        mean = _decode(self.foreground), _decode(self.brightness)
        foreground, brightness = _compare(*body.sample(poses), *mean)
        best = int((foreground + np.abs(brightness)).argmax())
        return Likeness(float(foreground[best]), float(brightness[best]))


@cache
def rotations() -> Float[np.ndarray, "n 3 3"]:
    """The identity, small rotations, and rotations spread evenly over all of them.

    References:
        Alexa 2022, Super-Fibonacci spirals, CVPR, doi:10.1109/CVPR52688.2022.00811.
    """
    from scipy.spatial.transform import Rotation  # slow to import, for few scans only

    pitches, tilts = (-30, -15, 0, 15), (-12, 0, 12)
    near = [(x, y, z) for x in pitches for y in tilts for z in tilts]
    numbers = np.arange(_ROTATIONS)
    along = (numbers + 0.5) / _ROTATIONS
    inner, outer = np.sqrt(along), np.sqrt(1 - along)
    first = 2 * np.pi * (numbers + 0.5) / np.sqrt(2)
    second = 2 * np.pi * (numbers + 0.5) / 1.533751168755204288118041
    quaternions = np.stack(
        [
            inner * np.sin(first),
            inner * np.cos(first),
            outer * np.sin(second),
            outer * np.cos(second),
        ],
        axis=1,
    )
    return np.concatenate(
        [
            np.eye(3)[None],
            Rotation.from_euler("xyz", near, degrees=True).as_matrix(),
            Rotation.from_quat(quaternions).as_matrix(),
        ]
    )


class _Smooth(NamedTuple):
    """A scan's foreground, as smooth as the voxels of a template need it."""

    foreground: Float[np.ndarray, "i j k"]
    brightness: Float[np.ndarray, "i j k"]
    center_voxels: Float[np.ndarray, " 3"]
    step_voxels: Float[np.ndarray, " 3"]
    """Voxels between the template's voxels."""

    @classmethod
    def of(cls, body: Body, width: float) -> "_Smooth":
        """Smooths a scan's foreground and its brightness."""
        step_voxels = width * body.size_mm / _SIDE / body.spacing_mm
        foreground, brightness = (
            _smooth(part, _SMOOTHING * step_voxels)
            for part in (body.foreground, body.brightness)
        )
        return cls(foreground, brightness, body.center_voxels, step_voxels)

    def sample(self, poses: Float[np.ndarray, "n 3 3"]) -> tuple[_Samples, _Samples]:
        """Foreground and its brightness at the template's voxels, in every pose."""
        offsets = np.indices((_SIDE,) * 3).reshape(3, -1).T - (_SIDE - 1) / 2
        linear = self.step_voxels[:, None] * poses
        places = np.einsum("rij,nj->rni", linear, offsets) + self.center_voxels
        last = np.array(self.foreground.shape) - 1
        is_inside = ((places >= 0) & (places <= last)).all(axis=-1)
        maps = [_around(self.center_voxels, each) for each in linear]
        foreground, brightness = (
            is_inside * _sample(part, maps)
            for part in (self.foreground, self.brightness)
        )
        return foreground, _relative(brightness, foreground)


def _smooth(
    part: Float[np.ndarray, "i j k"], sigma_voxels: Float[np.ndarray, " 3"]
) -> Float[np.ndarray, "i j k"]:
    """Smooths by a Gaussian; there is nothing beyond the array."""
    width = int(_REACH * sigma_voxels.max() + 1)
    wide = smooth(np.pad(part, width), sigma_voxels.tolist(), reach=_REACH)
    inner = slice(width, -width)
    return np.ascontiguousarray(wide[inner, inner, inner])


def _around(
    center_voxels: Float[np.ndarray, " 3"], linear: Float[np.ndarray, "3 3"]
) -> Affine:
    """The map from voxels of the template, the middle of which goes to the center."""
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    matrix[:3, 3] = center_voxels - linear.sum(axis=1) * (_SIDE - 1) / 2
    return Affine(matrix)


def _sample(part: Float[np.ndarray, "i j k"], maps: Sequence[Affine]) -> _Samples:
    """Values at the template's voxels under each map, interpolated linearly."""
    i, j, k = part.shape
    image = Image(part, Grid((i, j, k), np.eye(4)))
    onto = Grid((_SIDE,) * 3, np.eye(4))
    return np.stack([each.resample(image, onto=onto).data.ravel() for each in maps])


def _mean(foreground: _Samples, brightness: _Samples) -> tuple[np.ndarray, np.ndarray]:
    """Mean foreground, and mean brightness of what is foreground."""
    mean = foreground.mean(axis=0)
    return mean, _relative((brightness * foreground).mean(axis=0), mean)


def _relative(brightness: np.ndarray, foreground: np.ndarray) -> np.ndarray:
    """Brightness per foreground; 0 where there is little foreground."""
    ratio = brightness / foreground.clip(_SMALLEST_FOREGROUND)
    return np.where(foreground > _SMALLEST_FOREGROUND, ratio, 0)


def _compare(
    foreground: _Samples,
    brightness: _Samples,
    mean_foreground: np.ndarray,
    mean_brightness: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Correlations of foreground and of brightness with the mean, one per pose."""
    everywhere = np.ones_like(foreground)
    both = (foreground > _SMALLEST_FOREGROUND) & (
        mean_foreground > _SMALLEST_FOREGROUND
    )
    return (
        _correlations(foreground, mean_foreground, everywhere),
        _correlations(brightness, mean_brightness, both * foreground * mean_foreground),
    )


def _correlations(
    samples: _Samples, mean: np.ndarray, weights: _Samples
) -> Float[np.ndarray, " n"]:
    weights = weights / weights.sum(axis=1, keepdims=True).clip(1e-9)
    one = samples - (samples * weights).sum(axis=1, keepdims=True)
    other = mean - (mean * weights).sum(axis=1, keepdims=True)
    variances = (weights * one**2).sum(axis=1) * (weights * other**2).sum(axis=1)
    return (weights * one * other).sum(axis=1) / np.sqrt(variances.clip(1e-12))


def _encode(values: np.ndarray) -> str:
    """Values from 0 to 1 as one byte each, in Base64."""
    levels = np.rint(values.clip(0, 1) * 255).astype(np.uint8)
    return base64.b64encode(levels.tobytes()).decode()


def _decode(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.uint8) / 255.0
