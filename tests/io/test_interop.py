"""Transform files as SimpleITK, ANTs and nitransforms read and write them."""

import nibabel
import nitransforms
import numpy as np
import pytest
import SimpleITK as sitk

from support.scans import (
    FIXED,
    MOVING,
    STORAGE_ORDERS,
    TO_MOVING,
    random_points_mm,
    smooth_field,
    smooth_spline,
    stored,
)
from voltween import io
from voltween.errors import InputError
from voltween.spatial import Composite, DisplacementField, Field, Grid

TRANSFORMS = {
    "affine": TO_MOVING,
    "field": smooth_field(FIXED.grid),
    "affine @ field": TO_MOVING @ smooth_field(FIXED.grid),
    "field @ affine": smooth_field(MOVING.grid) @ TO_MOVING,
    "field @ affine @ field": smooth_field(MOVING.grid)
    @ TO_MOVING
    @ smooth_field(FIXED.grid),
    "spline": smooth_spline(FIXED.grid),
    "affine @ spline": TO_MOVING @ smooth_spline(FIXED.grid),
    "spline @ affine": smooth_spline(MOVING.grid) @ TO_MOVING,
}
POINTS_MM = random_points_mm(FIXED.grid, 100)
LPS = np.array([-1, -1, 1])


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Path of every transform, written once, by name."""
    folder = tmp_path_factory.mktemp("transforms")
    return {
        name: io.write(transform, folder / f"{name}.h5")
        for name, transform in TRANSFORMS.items()
    }


def sitk_points(transform, points_mm):
    """Points (RAS) mapped by SimpleITK, which works in LPS."""
    return (
        np.array([transform.TransformPoint((p * LPS).tolist()) for p in points_mm])
        * LPS
    )


@pytest.mark.parametrize("name", TRANSFORMS)
def test_simpleitk_maps_points_as_we_do(name, written):
    by_itk = sitk_points(sitk.ReadTransform(str(written[name])), POINTS_MM)
    np.testing.assert_allclose(
        by_itk, TRANSFORMS[name].map_positions(POINTS_MM), atol=1e-9
    )


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_come_back(name, written):
    back = io.read_transform(written[name])
    np.testing.assert_allclose(
        back.map_positions(POINTS_MM),
        TRANSFORMS[name].map_positions(POINTS_MM),
        atol=1e-9,
    )


@pytest.mark.parametrize("order", STORAGE_ORDERS)
@pytest.mark.parametrize("name", ["affine @ field", "affine @ spline"])
def test_simpleitk_resamples_to_our_moved_image(name, order, written, tmp_path):
    fixed, moving = (
        stored(FIXED, order),
        stored(MOVING, STORAGE_ORDERS[::-1][STORAGE_ORDERS.index(order)]),
    )
    transform = TRANSFORMS[name]
    io.write(fixed, tmp_path / "fixed.nii")
    io.write(moving, tmp_path / "moving.nii")
    io.write(transform.resample(moving, onto=fixed.grid), tmp_path / "moved.nii")
    by_itk = sitk.Resample(
        sitk.ReadImage(str(tmp_path / "moving.nii")),
        sitk.ReadImage(str(tmp_path / "fixed.nii")),
        sitk.ReadTransform(str(written[name])),
        sitk.sitkLinear,
        0.0,
    )
    ours = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "moved.nii")))
    difference = np.abs(sitk.GetArrayFromImage(by_itk) - ours)
    # NIfTI keeps the grid in single precision: a voxel at the very edge may fall out.
    assert np.quantile(difference, 0.995) < 0.5
    assert (
        np.corrcoef(sitk.GetArrayFromImage(by_itk).ravel(), ours.ravel())[0, 1] > 0.999
    )


def test_displacement_field_image_is_as_ants_writes_it(tmp_path):
    field = TRANSFORMS["affine @ field"].to_field(FIXED.grid)
    path = io.write(field, tmp_path / "field.nii.gz")
    header = nibabel.load(path)
    assert header.shape == (*FIXED.grid.shape, 1, 3)
    assert int(header.header["intent_code"]) == 1007
    vectors_lps = header.get_fdata()[:, :, :, 0]
    np.testing.assert_allclose(vectors_lps * LPS, field.vectors_mm, atol=1e-4)


def test_simpleitk_reads_the_displacement_field_image(tmp_path):
    transform = TRANSFORMS["affine @ field"]
    path = io.write(transform.to_field(FIXED.grid), tmp_path / "field.nii.gz")
    image = sitk.Cast(sitk.ReadImage(str(path)), sitk.sitkVectorFloat64)
    centers = FIXED.grid.voxel_centers_mm()[2:-2, 2:-2, 2:-2].reshape(-1, 3)
    by_itk = sitk_points(sitk.DisplacementFieldTransform(image), centers)
    np.testing.assert_allclose(by_itk, transform.map_positions(centers), atol=1e-3)


def test_nitransforms_reads_the_displacement_field_image(tmp_path):
    field = smooth_field(FIXED.grid)
    path = io.write(field, tmp_path / "field.nii.gz")
    theirs = nitransforms.io.itk.ITKDisplacementsField.from_filename(path)
    centers = FIXED.grid.voxel_centers_mm()
    mapped = nitransforms.nonlinear.DenseFieldTransform(theirs).map(
        centers.reshape(-1, 3)
    )
    np.testing.assert_allclose(
        mapped, field.map_positions(centers.reshape(-1, 3)), atol=1e-3
    )


def test_nitransforms_reads_the_affine(tmp_path):
    path = io.write(TO_MOVING, tmp_path / "t.tfm")
    theirs = nitransforms.linear.load(path, fmt="itk")
    np.testing.assert_allclose(
        theirs.map(POINTS_MM), TO_MOVING.map_positions(POINTS_MM), atol=1e-4
    )


def itk_transforms():
    """Linear transforms with a center of rotation, as SimpleITK and ANTs make them."""
    euler = sitk.Euler3DTransform((1.0, 2.0, 3.0), 0.1, -0.2, 0.3, (4.0, 5.0, 6.0))
    affine = sitk.AffineTransform(3)
    affine.SetMatrix([1.1, 0.1, 0, 0, 0.9, 0.2, 0.1, 0, 1.05])
    affine.SetCenter((10.0, -20.0, 30.0))
    affine.SetTranslation((1.0, -2.0, 3.0))
    similarity = sitk.Similarity3DTransform(1.2, (0.0, 0.0, 1.0), 0.3, (1.0, 2.0, 3.0))
    return [
        euler,
        affine,
        similarity,
        sitk.TranslationTransform(3, (1.0, 2.0, 3.0)),
        sitk.CompositeTransform([affine, euler, similarity]),
        sitk.CompositeTransform(3),
    ]


@pytest.mark.parametrize("index", range(6))
@pytest.mark.parametrize("suffix", [".h5", ".tfm", ".txt"])
def test_transforms_written_by_simpleitk_are_read(index, suffix, tmp_path):
    theirs = itk_transforms()[index]
    sitk.WriteTransform(theirs, str(tmp_path / f"t{suffix}"))
    ours = io.read_transform(tmp_path / f"t{suffix}")
    np.testing.assert_allclose(
        ours.map_positions(POINTS_MM), sitk_points(theirs, POINTS_MM), atol=1e-9
    )


def test_ants_matrix_file_is_read(tmp_path):
    """The text of an ANTs GenericAffine, as ANTs' ConvertTransformFile prints it."""
    (tmp_path / "ants.txt").write_text(
        "#Insight Transform File V1.0\n#Transform 0\n"
        "Transform: MatrixOffsetTransformBase_double_3_3\n"
        "Parameters: 1.1 0 0 0 0.9 0 0 0 1 5 6 7\nFixedParameters: 10 20 30\n"
    )
    # y = M (x - c) + c + t, in LPS.
    expected = np.array([[1.1 * (0 - 10) + 15, 0.9 * (0 - 20) + 26, 0 - 30 + 37]]) * LPS
    ours = io.read_transform(tmp_path / "ants.txt").map_positions(np.zeros((1, 3)))
    np.testing.assert_allclose(ours, expected, atol=1e-12)


def test_composite_of_ants_order_applies_the_last_first(tmp_path):
    shift, stretch = (
        sitk.TranslationTransform(3, (10.0, 0.0, 0.0)),
        sitk.ScaleTransform(3, (2.0, 1.0, 1.0)),
    )
    sitk.WriteTransform(
        sitk.CompositeTransform([shift, stretch]), str(tmp_path / "t.h5")
    )
    ours = io.read_transform(tmp_path / "t.h5")
    assert ours.map_positions(np.array([[1.0, 0, 0]])).tolist() == [[-8, 0, 0]]


def itk_spline(order):
    """A B-spline transform with coefficients up to its border, as others write it."""
    grid_image = sitk.Image([8, 9, 10], sitk.sitkFloat32)
    grid_image.SetSpacing([3.0, 2.0, 2.5])
    grid_image.SetOrigin((FIXED.grid.center_mm * LPS - [10, 8, 11]).tolist())
    spline = sitk.BSplineTransformInitializer(grid_image, [2, 3, 4], order)
    count = len(spline.GetParameters())
    spline.SetParameters(np.random.default_rng(0).normal(0, 2, count).tolist())
    return spline


@pytest.mark.parametrize("suffix", [".h5", ".tfm"])
def test_cubic_splines_of_others_are_read(suffix, tmp_path):
    theirs = itk_spline(3)
    sitk.WriteTransform(theirs, str(tmp_path / f"t{suffix}"))
    ours = io.read_transform(tmp_path / f"t{suffix}")
    got = ours.map_positions(POINTS_MM)
    np.testing.assert_allclose(got, sitk_points(theirs, POINTS_MM), atol=1e-9)
    is_moved = np.abs(got - POINTS_MM).max(axis=1) > 0
    assert 0.1 < is_moved.mean() < 0.99


def test_splines_of_other_orders_are_refused_with_a_way_out(tmp_path):
    sitk.WriteTransform(itk_spline(2), str(tmp_path / "t.h5"))
    with pytest.raises(InputError, match="convert it to a displacement field"):
        io.read_transform(tmp_path / "t.h5")


@pytest.mark.parametrize("name", TRANSFORMS)
def test_small_files_hold_the_transform_within_a_fraction_of_its_spacing(
    name, tmp_path
):
    transform = TRANSFORMS[name]
    path = io.write_small(transform, tmp_path / "small.h5")
    expected_mm = transform.map_positions(POINTS_MM)
    spacings_mm = [
        float(part.grid.spacing_mm.min())
        for part in transform.parts()
        if isinstance(part, Field)
    ]
    # Half of a step of at most 1/2048 along each axis; an outer field adds a little.
    atol = 1e-9 + len(spacings_mm) * max([0.0, *spacings_mm]) / 2048
    back_mm = io.read_transform(path).map_positions(POINTS_MM)
    by_itk = sitk_points(sitk.ReadTransform(str(path)), POINTS_MM)
    np.testing.assert_allclose(back_mm, expected_mm, atol=atol)
    np.testing.assert_allclose(by_itk, back_mm, atol=1e-9)
    if spacings_mm:
        assert not np.allclose(back_mm, expected_mm, rtol=0, atol=1e-9)


def test_small_files_of_a_smooth_transform_have_a_third_of_the_size(tmp_path):
    grid = Grid((60, 60, 60), np.diag([2.0, 2.0, 2.0, 1.0]))
    spline = smooth_spline(grid)
    exact = io.write(spline, tmp_path / "exact.h5").stat().st_size
    small = io.write_small(spline, tmp_path / "small.h5").stat().st_size
    assert small < exact / 3
    with pytest.raises(InputError, match="small"):
        io.write_small(spline, tmp_path / "small.tfm")


@pytest.mark.parametrize("write", [io.write, io.write_small])
def test_ants_reads_splines(write, tmp_path):
    ants = pytest.importorskip("ants", reason="antspyx is not installed")
    path = write(TRANSFORMS["affine @ spline"], tmp_path / "t.h5")
    transform = ants.read_transform(str(path))
    by_ants = [
        ants.apply_ants_transform_to_point(transform, tuple(p * LPS)) * LPS
        for p in POINTS_MM
    ]
    ours = TRANSFORMS["affine @ spline"].map_positions(POINTS_MM)
    np.testing.assert_allclose(by_ants, ours, atol=1e-3)


@pytest.mark.parametrize("name", ["t.h5", "t.tfm", "t.txt", "t.nii.gz"])
def test_files_that_are_no_transforms_are_refused(name, tmp_path):
    (tmp_path / name).write_text("nothing of the kind")
    with pytest.raises(InputError, match=r"t\.\w+"):
        io.read_transform(tmp_path / name)


def test_an_image_is_not_a_displacement_field(tmp_path):
    io.write(FIXED, tmp_path / "a.nii.gz")
    with pytest.raises(InputError, match="3 real numbers per voxel"):
        io.read_transform(tmp_path / "a.nii.gz")


def test_only_a_field_is_written_as_an_image(tmp_path):
    with pytest.raises(InputError, match=r"transform.to_field\(grid\)"):
        io.write(TO_MOVING, tmp_path / "t.nii.gz")
    assert isinstance(TRANSFORMS["affine @ field"], Composite)
    assert isinstance(TRANSFORMS["field"], DisplacementField)
