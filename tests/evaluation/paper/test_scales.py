"""Scales of the paper's tables: grids, networks and trainings of the rows."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from support.cohorts import write_cohort
from support.scans import stored
from voltween import io
from voltween.cohorts import read_manifest
from voltween.errors import InputError
from voltween.evaluation import read_experiment
from voltween.evaluation.paper.scales import (
    SCALES,
    cases_of_row,
    recipe_of,
    share_of,
)
from voltween.evaluation.paper.settings import ExperimentSettings
from voltween.evaluation.paper.table_file import TableRow
from voltween.networks import build
from voltween.preprocessing import Preprocessing
from voltween.spatial import Grid, Image
from voltween.training import SUPERVISED, VOXELMORPH, Augmentation, Objective
from voltween.training.recipe import learning_rate

PAPER = SCALES["paper"]
SMALL = Preprocessing((24, 32, 24), (2.0, 2.0, 2.0))
# 88 452 497 for ADDD, as the sum of the paper's layers (sections IV-A and IV-B) at 16
# channels: 28 252 203 per dense subnetwork, 3 695 888 for the affine one.
DENSE, AFFINE = 28_252_203, 3_695_888


@pytest.fixture(scope="module")
def livers(tmp_path_factory):
    """A stand-in of prepared LiTS: crops of different sizes, voxels and axes."""
    folder = tmp_path_factory.mktemp("lits")
    lines = ["case,image,split"]
    for n, (shape, mm) in enumerate(
        [((40, 36, 30), (5.0, 5.0, 6.0)), ((64, 50, 28), (4.0, 4.0, 8.0))]
    ):
        grid = Grid.centered(
            shape, center_mm=np.zeros(3), spacing_mm=mm, directions=np.eye(3)
        )
        data = np.random.default_rng(n).normal(40, 20, shape)
        order = [((0, 1, 2), (False,) * 3), ((2, 0, 1), (True, False, True))][n]
        io.write(stored(Image(data, grid), order), folder / f"lits-{n}.nii.gz")
        lines.append(f"lits-{n},lits-{n}.nii.gz,train")
    (folder / "cases.csv").write_text("\n".join(lines))
    return read_manifest(folder / "cases.csv")


@pytest.fixture(scope="module")
def on_livers(livers):
    """Recipes of rows at paper scale on the livers."""
    fitted = PAPER.fit(livers)
    return lambda **row: recipe_of(TableRow("row", **row), fitted, PAPER)


def test_paper_scale_has_128_voxels_over_the_widest_field_of_view(livers):
    fitted = PAPER.fit(livers)
    assert fitted.shape == (128, 128, 128)
    # The 95th percentile of 200 and 256, 180 and 200, 180 and 224 mm.
    extents_mm = (253.2, 199.0, 221.8)
    assert np.multiply(fitted.spacing_mm, 128) == pytest.approx(extents_mm)


@pytest.mark.parametrize("network", ["D", "DD", "DDD", "AD", "ADD", "ADDD"])
def test_cascades_of_the_paper_have_its_weights(network, on_livers):
    config = on_livers(network=network).network
    with torch.device("meta"):
        weights = sum(weight.numel() for weight in build(config).parameters())
    assert weights == network.count("D") * DENSE + network.count("A") * AFFINE
    assert (network != "ADDD") or weights == 88_452_497
    assert (config.halvings, config.affine_halvings) == (6, 5)  # 128 to 2 and to 4
    assert (config.channels, config.flow_multiplier) == (16, 1.0)


def test_the_paper_trains_100_000_steps_of_8_pairs_without_augmentation(on_livers):
    training = on_livers(network="ADDD").training
    assert (training.steps, training.pairs_per_step) == (5 * 20_000, 8)
    assert training.augmentation == Augmentation(displacement=0.0)
    assert training.masked_share == 0
    rates = [learning_rate(step, training) for step in (1, 80_000, 80_001, 100_000)]
    assert rates == [1e-4, 1e-4, 0.5e-4, 0.5e-4]
    longer = replace(training, steps=140_000)
    rates = [learning_rate(step, longer) for step in (80_001, 100_001, 120_001)]
    assert rates == [0.5e-4, 0.25e-4, 0.125e-4]


def test_the_losses_are_weighted_as_in_table_1(on_livers):
    objective = on_livers(network="ADDD").training.objective
    assert objective == Objective(
        affine_similarity=1.0,
        orthogonality=0.1,
        determinant=0.1,
        dense_similarity=(1.0, 0.05),
        total_variation=1.0,
        last_similarity="correlation",
    )
    assert not objective.has_overlap
    (row,) = [
        row
        for row in read_experiment(Path("table_2")).rows
        if row.name == "VTN ADDD + inv"
    ]
    inverted = on_livers(network="ADDD", invertibility=row.invertibility)
    assert inverted.training.objective == replace(objective, invertibility=1e-3)


def test_recipes_are_what_rows_say(on_livers):
    supervised = on_livers(network="ADDD", supervised=True).training
    assert supervised.objective == SUPERVISED
    assert supervised.teacher == "ants"
    voxelmorph = on_livers(network="VoxelMorph-2")
    assert voxelmorph.training.objective == VOXELMORPH
    assert voxelmorph.training.pairs_per_step == 4
    assert voxelmorph.training.steps == 5000
    assert voxelmorph.network.shape == (128, 128, 128)


def test_every_network_sees_as_many_pairs_at_small_scale():
    scale = SCALES["small"]
    rows = [TableRow("a", network="D"), TableRow("b", network="VoxelMorph-2")]
    trainings = [recipe_of(row, SMALL, scale).training for row in rows]
    assert len({t.steps * t.pairs_per_step for t in trainings}) == 1


def test_small_grids_have_twice_the_voxel_size_and_fit_the_network(tmp_path):
    cases = read_manifest(write_cohort(tmp_path, 2, 0))  # 18^3 voxels of 2 mm
    fitted = SCALES["small"].fit(cases)
    assert fitted.spacing_mm == (4.0, 4.0, 4.0)
    assert fitted.shape == (16, 16, 16)
    cascade = recipe_of(TableRow("a", network="DD"), SMALL, SCALES["small"])
    assert cascade.preprocessing.shape == cascade.network.shape == (24, 32, 24)
    voxelmorph = recipe_of(
        TableRow("a", network="VoxelMorph-2"), SMALL, SCALES["small"]
    )
    assert voxelmorph.preprocessing.shape == (32, 32, 32)


def test_settings_change_grid_network_and_training(livers):
    settings = ExperimentSettings(
        shape=(64, 48, 64),
        spacing_mm=(4.0, 5.0, 4.0),
        hounsfield_window=(-100.0, 200.0),
        levels=3,
        affine_levels=4,
        channels=2,
        flow_multiplier=3.0,
        steps=40,
        steps_per_epoch=10,
        full_rate_epochs=2,
        learning_rate=0.1,
        pairs_per_step=6,
        pairs_at_once=6,
        precision="bf16",
        recompute_features=True,
        target_pairs=5,
        validate_every=20,
        voxelmorph_steps=11,
        voxelmorph_pairs_per_step=2,
        elastix_iterations=7,
    )
    not_of_scale = {"split", "atlas"}
    assert settings.given.keys() | not_of_scale == {
        field.name for field in fields(ExperimentSettings)
    }
    scale = PAPER.changed_by(settings)
    assert scale.elastix_iterations == 7
    recipe = recipe_of(TableRow("row", network="AD"), scale.fit(livers), scale)
    assert recipe.preprocessing == Preprocessing(
        (64, 48, 64), (4.0, 5.0, 4.0), hounsfield_window=(-100.0, 200.0)
    )
    network, training = recipe.network, recipe.training
    assert (network.halvings, network.affine_halvings, network.channels) == (3, 4, 2)
    assert network.flow_multiplier == 3.0
    assert [learning_rate(n, training) for n in (20, 21, 31)] == [0.1, 0.05, 0.025]
    assert (training.pairs_per_step, training.pairs_at_once) == (6, 6)
    assert (training.precision, training.recompute_features) == ("bf16", True)
    assert training.validate_every == 20
    taught = recipe_of(
        TableRow("row", network="AD", supervised=True), scale.fit(livers), scale
    ).training
    assert taught.target_pairs == 5
    voxelmorph = recipe_of(
        TableRow("row", network="VoxelMorph-2"), scale.fit(livers), scale
    ).training
    assert (voxelmorph.steps, voxelmorph.pairs_per_step) == (11, 2)
    assert voxelmorph.pairs_at_once == 2  # of at most six


def test_smaller_shares_lie_within_larger_ones():
    names = [f"case{n}" for n in range(8)]
    shares = [share_of(names, share) for share in (0.25, 0.5, 1.0)]
    assert [len(share) for share in shares] == [2, 4, 8]
    assert shares[0] < shares[1] < shares[2]


def test_rows_train_on_the_cohorts_they_name(tmp_path):
    cases = [
        replace(case, cohort=cohort)
        for case, cohort in zip(
            read_manifest(write_cohort(tmp_path, 4, 2)),
            ("lits", "bfh", "lits", "bfh", "bfh", "bfh"),
            strict=True,
        )
    ]
    lits = cases_of_row(TableRow("a", network="D", train=("lits",)), cases)
    assert [case.name for case in lits] == ["case0", "case2", "case4", "case5"]
    assert cases_of_row(TableRow("a", network="D"), cases) == cases
    half = TableRow("a", network="D", train=("bfh",), train_share=0.5)
    assert len(cases_of_row(half, cases)) == 1 + 2
    row = TableRow("a", network="D", train=("lits", "adni"))
    with pytest.raises(InputError, match=r"row 'a': expected .*got none of adni"):
        cases_of_row(row, cases)


def test_the_number_of_targets_retrains_supervised_rows_alone():
    scale = SCALES["small"]
    fewer = replace(scale, training=replace(scale.training, target_pairs=7))
    plain, taught = (
        [
            recipe_of(TableRow("a", network="AD", supervised=s), SMALL, each)
            for each in (scale, fewer)
        ]
        for s in (False, True)
    )
    assert plain[0] == plain[1]
    assert [recipe.training.target_pairs for recipe in taught] == [100, 7]
