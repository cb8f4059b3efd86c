"""Everything that is written is read back equal, on every kind of grid."""

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from support.scans import oblique_grid, smooth_image, smooth_spline
from voltween import io
from voltween.errors import InputError
from voltween.spatial import Affine, DisplacementField, Grid, Image, LabelMap, Points

SHAPE = (9, 8, 7)


def with_columns(grid, matrix):
    """The same corner and shape, with other axes."""
    affine = grid.affine.copy()
    affine[:3, :3] = affine[:3, :3] @ np.array(matrix)
    return Grid(grid.shape, affine)


PLAIN = Grid(SHAPE, np.eye(4))
OBLIQUE = oblique_grid(SHAPE)
SHEAR = [[1, 0.3, -0.1], [0, 1, 0.2], [0, 0, 1]]
GRIDS = {
    "plain": PLAIN,
    "oblique": OBLIQUE,
    "flipped": with_columns(OBLIQUE, np.diag([1, -1, 1])),
    "other order": with_columns(OBLIQUE, np.eye(3)[[2, 0, 1]]),
    "anisotropic": oblique_grid(SHAPE, spacing_mm=(0.05, 0.7, 6.0)),
    "2 slices": oblique_grid((9, 8, 2)),
    "sheared": with_columns(OBLIQUE, SHEAR),
    "sheared, flipped, 2 slices": with_columns(
        oblique_grid((9, 8, 2)), np.diag([1, 1, -1]) @ SHEAR
    ),
}
IMAGES = [".nii.gz", ".nii", ".nrrd", ".mha"]
LARGE = [1, 2**24 + 1, 2**31 - 1, 2**53 + 1, 2**62 + 1, 2**63 - 1, -(2**63)]


@pytest.fixture(params=GRIDS, name="grid")
def grid_fixture(request):
    return GRIDS[request.param]


def is_sheared(grid):
    return any(grid is each for name, each in GRIDS.items() if "shear" in name)


def random_field(grid):
    rng = np.random.default_rng(0)
    return DisplacementField(grid, rng.uniform(-0.2, 0.2, (*grid.shape, 3)))


def round_trip(thing, read, path):
    """Writes and reads; where the format has no place for shear, it says so."""
    if is_sheared(thing.grid) and path.suffix in (".nrrd", ".mha"):
        with pytest.raises(InputError, match="write NIfTI"):
            io.write(thing, path)
        return thing
    back = read(io.write(thing, path))
    assert back.grid.is_close(thing.grid, 1e-4)
    return back


@pytest.mark.parametrize("suffix", IMAGES)
def test_images(grid, suffix, tmp_path):
    image = smooth_image(grid)
    back = round_trip(image, io.read, tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(back.data, image.data)


@pytest.mark.parametrize("suffix", IMAGES)
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "i8", "f4"])
def test_integers_stay_integers_and_others_stay_others(dtype, suffix, tmp_path):
    whole = np.random.default_rng(0).integers(0, 100, SHAPE).astype(dtype)
    path = io.write(
        io.read(stored_by_itk(whole, tmp_path / f"a{suffix}")), tmp_path / f"b{suffix}"
    )
    written = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    assert written.dtype == dtype
    np.testing.assert_array_equal(written.T, whole)


def stored_by_itk(data, path):
    sitk.WriteImage(sitk.GetImageFromArray(data.T.copy()), str(path))
    return path


def test_what_was_computed_or_rounded_is_no_integer(tmp_path):
    whole = np.full(SHAPE, 7, np.int16)
    image = io.read(stored_by_itk(whole, tmp_path / "a.nii"))
    grid = Grid((3, 3, 3), np.diag([1.5, 1.5, 1.5, 1]))
    moved = Affine.identity().resample(image, onto=grid)
    scaled = nibabel.Nifti1Image(whole, np.eye(4))
    scaled.header.set_slope_inter(2, 1)
    nibabel.save(scaled, tmp_path / "scaled.nii")
    large = Image(np.full(SHAPE, 2**24 + 1), image.grid)
    for computed in (moved, io.read(tmp_path / "scaled.nii"), large):
        path = io.write(computed, tmp_path / "b.nii")
        assert nibabel.load(path).get_data_dtype() == np.float32


@pytest.mark.parametrize("suffix", IMAGES)
def test_labels_keep_their_bits(grid, suffix, tmp_path):
    data = np.random.default_rng(0).choice(LARGE, grid.shape)
    labels = LabelMap(data, grid)
    back = round_trip(labels, io.read_labels, tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(back.data, data)
    assert back.data.dtype == np.int64


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"])
@pytest.mark.parametrize("suffix", IMAGES)
def test_labels_of_every_type(dtype, suffix, tmp_path):
    limits = np.iinfo(dtype)
    data = np.array([limits.min, limits.max, 1, 0] * 126, dtype).reshape(SHAPE)
    back = round_trip(LabelMap(data, OBLIQUE), io.read_labels, tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(back.data, data)
    assert back.data.dtype == data.dtype


@pytest.mark.parametrize("suffix", IMAGES)
def test_fields_as_images(grid, suffix, tmp_path):
    field = random_field(grid)
    back = round_trip(field, io.read_transform, tmp_path / f"a{suffix}")
    np.testing.assert_allclose(back.vectors_mm, field.vectors_mm, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("suffix", [".h5", ".tfm"])
@pytest.mark.parametrize("kind", [random_field, smooth_spline])
def test_fields_as_transforms(grid, kind, suffix, tmp_path):
    if kind is smooth_spline and min(grid.shape) < 4:
        pytest.skip("a spline through its voxels has at least four of them")
    field = kind(grid)
    back = io.read_transform(io.write(field, tmp_path / f"a{suffix}"))
    assert type(back) is type(field)
    assert back.grid.is_close(grid, 1e-9)
    np.testing.assert_allclose(back.vectors_mm, field.vectors_mm, atol=1e-12)


@pytest.mark.parametrize("suffix", [".h5", ".tfm"])
def test_matrices(grid, suffix, tmp_path):
    transform = Affine(grid.affine)
    back = io.read_transform(io.write(transform, tmp_path / f"a{suffix}"))
    np.testing.assert_allclose(back.matrix, transform.matrix, atol=1e-13)


def test_jacobian_determinants(grid, tmp_path):
    determinants = Image(random_field(grid).jacobian_determinant(), grid)
    back = round_trip(determinants, io.read, tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(back.data, determinants.data)


@pytest.mark.parametrize("suffix", [".csv", ".fcsv", ".mrk.json"])
@pytest.mark.parametrize("names", [('Größe, "x"', "b;\nc"), ()])
def test_points(suffix, names, tmp_path):
    points = Points(np.array([[1 / 3, -2e-17, 3e5], [0.1, 1e-300, -7.0]]), names)
    back = io.read_points(io.write(points, tmp_path / f"a{suffix}"))
    np.testing.assert_array_equal(back.mm, points.mm)
    assert back.names == (names or ("1", "2"))


@pytest.mark.parametrize("suffix", [*IMAGES, ".h5", ".tfm"])
def test_the_same_thing_has_the_same_bytes(suffix, tmp_path, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 1e9)
    first = io.write(random_field(OBLIQUE), tmp_path / f"one{suffix}").read_bytes()
    monkeypatch.setattr("time.time", lambda: 1.1e9)
    second = io.write(random_field(OBLIQUE), tmp_path / f"two{suffix}").read_bytes()
    assert first == second


@pytest.mark.parametrize(
    ("dtype", "largest"), [(np.float32, 2**24), (np.float64, 2**53)]
)
def test_labels_that_floating_point_cannot_tell_apart_are_refused(dtype, largest):
    data = np.zeros(SHAPE, dtype)
    data[1, 1, 1] = largest
    assert LabelMap(data, PLAIN).labels == (largest,)
    data[1, 1, 1] = 2 * largest
    with pytest.raises(InputError, match="labels up to"):
        LabelMap(data, PLAIN)
    data[1, 1, 1] = np.inf
    with pytest.raises(InputError, match="labels up to"):
        LabelMap(data, PLAIN)


def test_numbers_beyond_any_range_are_refused():
    far = np.eye(4)
    far[0, 3] = 1e12
    for make in (
        lambda: Grid(SHAPE, far),
        lambda: Affine(far),
        lambda: Points(far[:3, :3] * 1e12),
        lambda: DisplacementField(PLAIN, np.full((*SHAPE, 3), 1e12)),
    ):
        with pytest.raises(InputError, match="within 1e"):
            make()
    with pytest.raises(InputError, match="voxels of at least 1e-09 mm"):
        Grid(SHAPE, np.diag([1e-12, 1, 1, 1]))
