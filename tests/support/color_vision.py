"""Differences of colors as people with color vision deficiencies see them.

Matrices of Machado, Oliveira and Fernandes, "A physiologically-based model for
simulation of color vision deficiency" (2009), for severity 1, on linear RGB; the
difference is the distance in CIELAB (D65), in which 2.3 is just noticeable.
"""

import numpy as np

VISIONS = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def difference(one, other, vision):
    """The distance of two colors such as #ff8000 in CIELAB, for a kind of vision."""
    return float(np.linalg.norm(_lab(one, vision) - _lab(other, vision)))


def _lab(color, vision):
    values = np.array([*bytes.fromhex(color[1:])]) / 255
    linear = np.where(
        values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4
    )
    seen = (VISIONS[vision] @ linear).clip(0, 1)
    share = _TO_XYZ @ seen / _TO_XYZ.sum(axis=1)
    curve = np.where(
        share > 216 / 24389, np.cbrt(share), (24389 / 27 * share + 16) / 116
    )
    x, y, z = curve
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])
