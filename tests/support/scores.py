"""Scores of comparisons made up for tests of reports: their Dice is given."""

from itertools import permutations
from math import nan

import numpy as np

from voltween.evaluation import PairScore
from voltween.evaluation.scores import Scores, StageScore, StructureScore

MODEL = "model:hippocampus"
PAIRS = list(permutations(("s1", "s2", "s3"), 2))


def pair_score(method, pair, dice=nan, **others):
    fixed, moving = pair
    iou = dice / (2 - dice)
    return PairScore(
        method=method, fixed=fixed, moving=moving, dice=dice, iou=iou, **others
    )


def of_method(method, dice, pairs=PAIRS, **others):
    return [
        pair_score(method, pair, value, **others)
        for pair, value in zip(pairs, dice, strict=True)
    ]


def scores_of(*pairs, structures=(), stages=()):
    return Scores(tuple(pairs), tuple(structures), tuple(stages))


def scores_of_four_methods():
    """Six pairs of four methods: one pair failed, one method cannot run."""
    dice = np.array([0.80, 0.82, 0.84, 0.86, 0.88, 0.90])
    failed, *others = of_method("elastix", dice - 0.1, seconds=9.0)
    failed = PairScore(
        method="elastix",
        fixed=failed.fixed,
        moving=failed.moving,
        status="failed",
        note="too few samples: 100% | _outside_",
    )
    unavailable = [
        PairScore(
            method="voxelmorph",
            fixed=fixed,
            moving=moving,
            status="unavailable",
            note="package voxelmorph is missing",
        )
        for fixed, moving in PAIRS
    ]
    structures = [
        StructureScore(
            method=m, fixed=f, moving=v, label=label, dice=d, iou=d / (2 - d)
        )
        for m in ("identity", MODEL)
        for (f, v), d in zip(PAIRS, dice, strict=True)
        for label in (7, 3)
    ]
    missing = StructureScore(
        method=MODEL, fixed="s1", moving="s2", label=9, note="not in moving"
    )
    stages = [
        StageScore(
            method=MODEL,
            fixed=f,
            moving=v,
            stage=stage,
            dice=d - loss,
            iou=0.5,
            iou_union=0.75,
            landmark_fixed_mm=4.0,
            folding_percent=0.25,
        )
        for (f, v), d in zip(PAIRS, dice, strict=True)
        for stage, loss in (("before", 0.4), ("affine", 0.1))
    ]
    return scores_of(
        *of_method("identity", dice - 0.4, seconds=1e-6, folding_percent=0.0),
        failed,
        *others,
        *unavailable,
        *of_method(MODEL, dice, seconds=0.2, folding_percent=0.02),
        structures=[*structures, missing],
        stages=stages,
    )
