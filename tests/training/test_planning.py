import tomllib
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from support.cohorts import write_cohort
from support.scans import STORAGE_ORDERS, oblique_grid, stored
from voltween import io
from voltween.cli import main
from voltween.cohorts import read_manifest
from voltween.errors import InputError
from voltween.models import load_model
from voltween.preprocessing import looks_like_ct
from voltween.spatial import Grid, Image, LabelMap, directions_to_ras, spacing_and_shape
from voltween.training import (
    describe_fingerprint,
    fit_preprocessing,
    measure_fingerprint,
    plan,
    read_plan,
)
from voltween.training.fingerprint import Spread
from voltween.training.planning import fitted_grid

# As stored: RAS, LPI, permuted, permuted and flipped.
ORDERS = [
    ((0, 1, 2), (False, False, False)),
    ((0, 1, 2), (True, True, True)),
    ((2, 0, 1), (False, False, False)),
    ((1, 2, 0), (True, False, True)),
]
GRID = Grid.centered(
    (16, 16, 16),
    center_mm=np.zeros(3),
    spacing_mm=(2.0, 2.0, 2.0),
    directions=np.eye(3),
)


def ct_scan(seed):
    """A small body with a bone in Hounsfield units, off the middle of a tilted scan."""
    rng = np.random.default_rng(seed)
    grid = oblique_grid((32, 30, 28), seed, spacing_mm=(2.0, 2.0, 2.0))
    along = (grid.voxel_centers_mm() - grid.center_mm) @ directions_to_ras(grid)
    along = along - rng.uniform(-12, 12, 3)
    body = np.square(along / (13.0, 10.5, 12.0)).sum(axis=-1) < 1
    bone = np.square(along / (5.0, 4.0, 6.0)).sum(axis=-1) < 1
    units = np.where(bone, 1300.0, np.where(body, 40.0, -1000.0))
    units = gaussian_filter(units, 0.5) + rng.normal(0, 15, grid.shape)
    labels = body.astype(np.uint8) + bone
    return Image(units.clip(-1024, None), grid), LabelMap(labels, grid)


def write_ct_cohort(folder, offsets=(0, 0, 0, 0, 0, 0)):
    """Four training and two validation scans as NRRD in mixed orientations."""
    lines = ["case,image,labels,split"]
    for n, offset in enumerate(offsets):
        image, labels = (stored(v, ORDERS[n % 4]) for v in ct_scan(n))
        io.write(Image(image.data + offset, image.grid), folder / f"image{n}.nrrd")
        io.write(labels, folder / f"labels{n}.nrrd")
        split = "train" if n < 4 else "val"
        lines.append(f"case{n},image{n}.nrrd,labels{n}.nrrd,{split}")
    (folder / "cases.csv").write_text("\n".join(lines))
    return folder / "cases.csv"


def fingerprint_of(manifest):
    return measure_fingerprint(read_manifest(manifest))


@pytest.fixture(scope="module", name="ct")
def ct_fixture(tmp_path_factory):
    """Manifest and fingerprint of a CT cohort."""
    manifest = write_ct_cohort(tmp_path_factory.mktemp("ct"))
    return manifest, fingerprint_of(manifest)


class TestFingerprint:
    def test_of_a_ct_cohort(self, ct):
        found = ct[1]
        assert found.splits == {"train": 4, "val": 2, "test": 0}
        assert found.is_ct
        assert found.is_labeled
        np.testing.assert_allclose(found.spacing_mm.largest, 2.0, atol=1e-4)
        assert found.shape.median == (32, 30, 28)  # in RAS order, however stored
        np.testing.assert_allclose(
            found.field_of_view_mm.usual, (64, 60, 56), atol=0.01
        )
        np.testing.assert_allclose(found.foreground_mm.median, (26, 21, 24), atol=4)
        assert np.abs(found.foreground_offset_mm.largest).max() < 14
        assert found.lowest[0] >= -1024
        assert -500 < found.intensities[0] < found.intensities[1] < 100
        assert found.intensities[2] > 1000

    def test_volumes_of_labels(self, ct):
        body, bone = ct[1].structures
        assert (body.label, body.cases, bone.label, bone.cases) == (1, 4, 2, 4)
        bone_ml = 4 / 3 * np.pi * 5 * 4 * 6 / 1000
        assert bone.volume_ml == pytest.approx(bone_ml, rel=0.1)

    def test_a_label_may_be_in_some_cases_alone(self, tmp_path):
        manifest = write_ct_cohort(tmp_path)
        labels = io.read_labels(tmp_path / "labels1.nrrd")
        one = LabelMap(np.minimum(labels.data, 1), labels.grid)
        io.write(one, tmp_path / "labels1.nrrd")
        found = fingerprint_of(manifest)
        assert [item.cases for item in found.structures] == [4, 3]
        assert "in 3 of 4)" in describe_fingerprint(found)["labels"]

    def test_sees_training_cases_alone(self, ct, tmp_path):
        manifest = write_ct_cohort(tmp_path)
        for n in (4, 5):
            (tmp_path / f"image{n}.nrrd").write_text("damaged")
        assert fingerprint_of(manifest) == ct[1]

    def test_does_not_mind_the_offset_of_ct(self, ct, tmp_path):
        mixed = fingerprint_of(write_ct_cohort(tmp_path, (0, 1000, 1000, 0, 0, 0)))
        assert mixed.is_ct
        np.testing.assert_allclose(mixed.intensities, ct[1].intensities, atol=30)
        np.testing.assert_allclose(
            mixed.foreground_mm.largest, ct[1].foreground_mm.largest, atol=0.1
        )

    def test_one_scan_of_another_kind_makes_a_cohort_not_ct(self, tmp_path):
        manifest = write_ct_cohort(tmp_path)
        image = io.read(tmp_path / "image2.nrrd")
        io.write(Image((image.data + 1024) * 0.3, image.grid), tmp_path / "image2.nrrd")
        assert not fingerprint_of(manifest).is_ct

    def test_constant_scans_are_named(self, tmp_path):
        manifest = write_ct_cohort(tmp_path)
        constant = Image(np.zeros(GRID.shape), GRID)
        io.write(constant, tmp_path / "image1.nrrd")
        with pytest.raises(
            InputError, match=r"case1 \(.*image1.nrrd\): .*constant image"
        ):
            fingerprint_of(manifest)


@pytest.mark.parametrize(
    ("change", "is_ct"),
    [
        (lambda units: units, True),
        (lambda units: units + 1000, True),
        (lambda units: units + 1024, True),
        (lambda units: np.where(units < -990, -3024, units), True),
        (lambda units: (units + 1024) / 4, False),  # the scale of 8 bits
        (lambda units: np.abs(units) * 2, False),
        (lambda units: units.clip(-200, 300), False),  # windowed before
        (lambda units: units + 5000, False),
    ],
)
def test_ct_is_told_by_its_units(change, is_ct):
    image, _ = ct_scan(0)
    assert looks_like_ct(Image(change(image.data), image.grid)) == is_ct


class TestGrid:
    def test_covers_the_extent_in_multiples_of_16(self):
        shape, spacing = fitted_grid((100.0, 64.0, 20.0), (2.0, 1.0, 5.0), 128**3)
        assert shape == (64, 64, 16)
        assert spacing == (2.0, 1.0, 5.0)

    @pytest.mark.parametrize("most", [128**3, 409_600, 100_000])
    def test_gets_coarser_along_the_finest_axes_first(self, most):
        extent = (400.0, 400.0, 500.0)
        shape, spacing = fitted_grid(extent, (0.8, 0.8, 5.0), most)
        assert np.prod(shape) <= most
        assert spacing[0] == spacing[1] <= spacing[2]
        assert (np.multiply(shape, spacing) >= np.array(extent) - spacing).all()
        assert not np.remainder(shape, 16).any()

    def test_rounding_of_a_header_costs_no_16_voxels(self):
        assert fitted_grid((128 * 2.00004,) * 3, (2.0,) * 3, 128**3)[0] == (128,) * 3

    def test_of_a_manifest_covers_the_cohort_in_ras_order(self, tmp_path):
        fitted = fit_preprocessing(read_manifest(write_cohort(tmp_path)))
        assert fitted.spacing_mm == (2.0, 2.0, 2.0)
        assert fitted.shape == (32, 32, 32)  # 18 voxels, in multiples of 16

    @pytest.mark.parametrize("order", STORAGE_ORDERS[::9])
    def test_sizes_are_in_ras_order(self, order):
        image, _ = ct_scan(1)
        spacing, shape = spacing_and_shape(stored(image, order).grid)
        np.testing.assert_allclose(spacing, 2.0)
        assert tuple(shape) == (32, 30, 28)


class TestPlan:
    def test_of_ct(self, ct):
        decided, notes = plan(*ct, has_gpu=False)
        assert decided.preprocessing.placement == "foreground"
        assert decided.preprocessing.shape == (16, 16, 16)
        low, high = decided.preprocessing.hounsfield_window
        assert low % 10 == high % 10 == 0
        assert -500 <= low < 40 < 1000 < high
        assert decided.cascade.stages == "ADDD"
        assert decided.cascade.halvings == decided.cascade.affine_halvings == 3
        assert decided.training.objective.overlap == (2.0, 0.0, 0.0, 0.5)
        assert decided.training.augmentation.bias == 0
        assert decided.training.validation_pairs == 2
        assert "by heart" in notes["training.steps"]

    def test_of_mr_takes_percentiles(self, tmp_path):
        manifest = write_cohort(tmp_path)
        decided, notes = plan(manifest, fingerprint_of(manifest), has_gpu=False)
        assert decided.preprocessing.hounsfield_window is None
        assert decided.preprocessing.intensity_percentiles == (0.5, 99.5)
        assert "look like CT" in notes["preprocessing.intensity_percentiles"]
        assert decided.training.augmentation.bias == 0.2

    def test_covers_the_whole_scan_if_the_foreground_fills_it(self, ct):
        manifest, found = ct
        found = replace(found, foreground_mm=found.field_of_view_mm)
        decided, _ = plan(manifest, found, has_gpu=False)
        assert decided.preprocessing.placement == "grid centre"
        assert decided.preprocessing.shape == (32, 32, 32)

    def test_is_coarser_without_a_gpu_and_says_so(self, ct):
        manifest, found = ct
        wide = spread_of(300.0)
        found = replace(found, field_of_view_mm=wide, foreground_mm=wide)
        with_gpu, gpu_notes = plan(manifest, found, has_gpu=True)
        without, notes = plan(manifest, found, has_gpu=False)
        assert np.prod(without.preprocessing.shape) <= 409_600
        assert np.prod(with_gpu.preprocessing.shape) > 409_600
        assert with_gpu.cascade.stages == "ADDD"
        assert without.cascade.stages == "ADD"
        assert without.training.objective.overlap == (2.0, 0.0, 0.5)
        assert "no GPU" in notes["preprocessing.spacing_mm"]
        assert "no GPU" not in gpu_notes["preprocessing.spacing_mm"]

    def test_needs_labels_of_every_case_for_an_overlap(self, ct):
        manifest, found = ct
        decided, notes = plan(manifest, replace(found, labeled=3), has_gpu=False)
        assert not decided.training.objective.has_overlap
        assert "3 of 4" in notes["training.objective.overlap"]

    def test_keeps_two_voxels_at_the_coarsest(self, ct):
        for side in (16, 32, 64, 128):
            found = replace(
                ct[1],
                field_of_view_mm=spread_of(2.0 * side),
                foreground_mm=spread_of(2.0 * side),
            )
            cascade = plan(ct[0], found, has_gpu=True)[0].cascade
            assert cascade.shape == (side,) * 3
            assert side >> cascade.halvings >= 2
            assert side >> cascade.affine_halvings >= 2

    def test_without_validation_cases_says_what_is_kept(self, ct):
        found = replace(ct[1], splits={"train": 4, "val": 1, "test": 0})
        notes = plan(ct[0], found, has_gpu=False)[1]
        assert "last model" in notes["training.validation_pairs"]


def spread_of(value):
    three = (value,) * 3
    return Spread(three, three, three, three)


@pytest.mark.filterwarnings("ignore::voltween.errors.InverseWarning")
def test_plan_train_and_register_without_an_edit(tmp_path, capsys):
    """From a CT cohort in mixed orientations to a transform, by commands alone."""
    manifest = write_ct_cohort(tmp_path)
    path = tmp_path / "plan.toml"
    main(["plan", str(manifest), "--out", str(path)])
    shown = capsys.readouterr().out
    assert "4 train, 2 val, 0 test" in shown
    text = path.read_text()
    decided = read_plan(path)
    expected, notes = plan(manifest, fingerprint_of(manifest), has_gpu=False)
    assert decided == expected
    assert "# scans: 4 train, 2 val, 0 test" in text
    words = " ".join(text.replace("#", " ").split())
    assert [reason for reason in notes.values() if reason not in words] == []
    path.write_text(text.replace("steps = 2000", "steps = 2"))  # to be quick

    main(["train", str(path), "--out", str(tmp_path / "run")])
    model = load_model(tmp_path / "run" / "best.safetensors")
    assert model.preprocessing == decided.preprocessing
    assert model.network.config == decided.cascade
    assert model.provenance["training"]["steps"] == 2
    main(
        [
            *("register", f"{tmp_path}/image4.nrrd", f"{tmp_path}/image5.nrrd"),
            *("--model", f"{tmp_path}/run/best.safetensors"),
            *("--out", f"{tmp_path}/result"),
        ]
    )
    moved = io.read(tmp_path / "result" / "moved.nii.gz")
    assert moved.grid.is_close(io.read(tmp_path / "image4.nrrd").grid)


def refusal(capsys, *words):
    with pytest.raises(SystemExit) as caught:
        main(list(map(str, words)))
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_a_plan_is_not_written_over_unless_asked(tmp_path, capsys):
    manifest = write_ct_cohort(tmp_path)
    path = tmp_path / "plan.toml"
    path.write_text("mine")
    error = refusal(capsys, "plan", manifest, "--out", path)
    assert "is there already: give --overwrite" in error
    assert path.read_text() == "mine"
    main(["plan", str(manifest), "--out", str(path), "--overwrite"])
    assert tomllib.loads(path.read_text())["manifest"] == "cases.csv"
    assert "ends in .toml" in refusal(capsys, "plan", manifest, "--out", "plan.txt")


def test_settings_beside_a_plan_are_refused(tmp_path, capsys):
    path = tmp_path / "plan.toml"
    path.write_text("")
    error = refusal(
        capsys,
        *("train", path, "--out", tmp_path / "run", "--levels", 3, "--steps", 5),
        *("--augmentation.gamma", 0.2),
    )
    assert "--levels, --steps, --augmentation: settings come from" in error
    assert "plan.toml: change them there" in error
    error = refusal(capsys, "train", path, "--out", tmp_path / "run")
    assert "manifest, preprocessing: missing" in error
    assert not (tmp_path / "run").exists()


def few_of(shared_data, cohort, count=5):
    manifest = shared_data / cohort / "cases.csv"
    cases = [case for case in read_manifest(manifest) if case.split == "train"]
    return manifest, measure_fingerprint(cases[:count])


def test_plan_of_real_head_and_neck_ct(shared_data):
    decided, _ = plan(*few_of(shared_data, "headneck_ct"), has_gpu=False)
    assert decided.preprocessing.placement == "foreground"
    low, high = decided.preprocessing.hounsfield_window
    assert -500 <= low <= -100
    assert 300 <= high <= 1500
    assert 200_000 < np.prod(decided.preprocessing.shape) <= 409_600
    assert decided.training.objective.has_overlap


def test_plan_of_real_hippocampi(shared_data):
    decided, _ = plan(*few_of(shared_data, "hippocampus"), has_gpu=False)
    assert decided.preprocessing.placement == "grid centre"
    assert decided.preprocessing.shape == (48, 64, 48)
    assert decided.preprocessing.spacing_mm == (1, 1, 1)
    assert decided.preprocessing.hounsfield_window is None
