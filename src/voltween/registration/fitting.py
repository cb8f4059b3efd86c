"""Registration without a model: grids and intensity rules fitted to both scans."""

from dataclasses import replace

import numpy as np
import torch

from voltween.preprocessing import Preprocessing, find_foreground, looks_like_ct
from voltween.registration.canonical import FEWEST_BLOCKS
from voltween.registration.pair_view import PairView, SideView
from voltween.registration.voxel_sizes import choose_voxels
from voltween.spatial import Grid, Image, directions_to_ras

_MARGIN = 1.1  # of the foreground, so that moving its center cuts nothing off
_MOST_VOXELS = 1.0e6
_CT_WINDOW = (-300.0, 700.0)  # air and fat dark, soft tissue and bone told apart


def fit_to_pair(fixed: Image, moving: Image, *, multiple: int) -> PairView:
    """Places grids of one shape around the foregrounds of two scans.

    The voxels are cubic and as narrow as the narrowest of both scans, or wider where
    this would give more than a million; narrower along an axis of few slices (see
    `voxel_sizes`). The grids' sides are multiples of `multiple`.
    """
    scans = (fixed, moving)
    are_ct = [looks_like_ct(scan) for scan in scans]
    foregrounds = [
        find_foreground(scan, is_ct=is_ct)
        for scan, is_ct in zip(scans, are_ct, strict=True)
    ]
    extent_mm = _MARGIN * np.max([each.extent_mm for each in foregrounds], axis=0)
    voxels = choose_voxels(
        extent_mm,
        [scan.grid for scan in scans],
        most=_MOST_VOXELS,
        fewest=FEWEST_BLOCKS * multiple,
    )
    blocks = np.ceil(voxels.extent_mm / voxels.spacing_mm / multiple - 1e-6)
    i, j, k = (int(n) * multiple for n in blocks.clip(FEWEST_BLOCKS))
    x, y, z = voxels.spacing_mm.tolist()
    rule = Preprocessing(
        (i, j, k), (x, y, z), placement="foreground", surroundings="border"
    )
    sides = [
        _view(scan, rule, foreground.center_mm, is_ct=is_ct)
        for scan, foreground, is_ct in zip(scans, foregrounds, are_ct, strict=True)
    ]
    return PairView(*sides)


def _view(
    scan: Image, rule: Preprocessing, center_mm: np.ndarray, *, is_ct: bool
) -> SideView:
    """The scan on the rule's grid around a known center of its foreground."""
    grid = Grid.centered(
        rule.shape,
        center_mm=center_mm,
        spacing_mm=rule.spacing_mm,
        directions=directions_to_ras(scan.grid),
    )
    if is_ct:
        rule = replace(rule, hounsfield_window=_CT_WINDOW)
    return SideView(scan, rule, grid, torch.device("cpu"))
