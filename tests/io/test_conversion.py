"""Transforms in other tools' files, moved by these tools' own arithmetic."""

import nibabel
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from support.scans import (
    FIXED,
    MOVING,
    TO_MOVING,
    random_points_mm,
    smooth_field,
    stored,
)
from voltween import io
from voltween.errors import InputError
from voltween.spatial import Affine, Grid, Image

nitransforms = pytest.importorskip("nitransforms", reason="it is not installed")

FIELD = TO_MOVING @ smooth_field(FIXED.grid, largest_voxels=1.5)
POINTS_MM = random_points_mm(FIXED.grid, 50)
LPS = np.diag([-1.0, -1, 1, 1])


def rotated(turn):
    """The grids of both scans with other axes: (fixed, moving)."""
    return stored(FIXED, turn[0]).grid, stored(MOVING, turn[1]).grid


# Oblique and anisotropic as they are; with axes exchanged and reversed, of both
# handednesses.
PAIRS = {
    "as they are": (((0, 1, 2), (False,) * 3), ((0, 1, 2), (False,) * 3)),
    "fixed flipped": (((0, 1, 2), (True, False, False)), ((0, 1, 2), (False,) * 3)),
    "moving flipped": (((0, 1, 2), (False,) * 3), ((0, 1, 2), (False, True, False))),
    "axes exchanged": (((2, 0, 1), (True, False, True)), ((1, 0, 2), (True,) * 3)),
}


@pytest.fixture(name="grids", params=PAIRS)
def grids_fixture(request):
    return rotated(PAIRS[request.param])


def nifti(grid):
    return nibabel.Nifti1Image(np.zeros(grid.shape, np.uint8), grid.affine)


def at(matrix, points):
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def fsl_mm(grid):
    """Voxels to FSL's mm (newimagevox2mm_mat): the first axis is radiological."""
    matrix = np.diag([*grid.spacing_mm, 1.0])
    if np.linalg.det(grid.affine) > 0:
        swap = np.eye(4)
        swap[0, 0], swap[0, 3] = -1, grid.shape[0] - 1
        matrix = matrix @ swap
    return matrix


def afni_mm(grid):
    """Voxels to AFNI's mm, in LPS, as 3drefit -deoblique leaves them."""
    from nitransforms.io.afni import _dicom_real_to_card

    return LPS @ _dicom_real_to_card(grid.affine)


def moving_voxels(transform, fixed, moving):
    """Returns the place of each fixed voxel in the moving scan, in voxels of it."""
    mapped = transform.map_positions(fixed.voxel_centers_mm().reshape(-1, 3))
    return moving.world_to_voxel(mapped)


def voxels_of(grid):
    return np.indices(grid.shape).reshape(3, -1).T.astype(float)


def check_image(voxels, transform, fixed, moving):
    """An image read at a tool's voxels is the one that this package resamples."""
    image = Image(np.random.default_rng(0).standard_normal(moving.shape), moving)
    theirs = map_coordinates(image.data, voxels.T, order=1, mode="constant")
    ours = transform.resample(image, onto=fixed).data.ravel()
    inside = ((voxels > 0.01) & (voxels < np.array(moving.shape) - 1.01)).all(axis=1)
    assert inside.mean() > 0.2
    np.testing.assert_allclose(ours[inside], theirs[inside], atol=1e-2)


def check_back(path, transform, atol=1e-3, **options):
    again = io.read_transform(path, **options)
    inner = POINTS_MM[:20]
    np.testing.assert_allclose(
        again.map_positions(inner), transform.map_positions(inner), atol=atol
    )


def write(target, transform, path, grids):
    return io.write_for(target, transform, path, fixed=grids[0], moving=grids[1])


class TestFsl:
    def test_flirt_matrix(self, grids, tmp_path):
        path, (fixed, moving) = (
            write("fsl", TO_MOVING, tmp_path / "a.mat", grids),
            grids,
        )
        to_fixed = np.loadtxt(path)  # flirt -applyxfm: moving mm to fixed mm
        mapped = at(np.linalg.inv(to_fixed) @ fsl_mm(fixed), voxels_of(fixed))
        voxels = at(np.linalg.inv(fsl_mm(moving)), mapped)
        np.testing.assert_allclose(
            voxels, moving_voxels(TO_MOVING, fixed, moving), atol=1e-6
        )
        check_image(voxels, TO_MOVING, fixed, moving)
        check_back(path, TO_MOVING, fixed=fixed, moving=moving)

    def test_flirt_matrix_is_as_nitransforms_reads_it(self, grids, tmp_path):
        path = write("fsl", TO_MOVING, tmp_path / "a.mat", grids)
        theirs = nitransforms.io.fsl.FSLLinearTransform.from_filename(path)
        ras = theirs.to_ras(moving=nifti(grids[1]), reference=nifti(grids[0]))
        np.testing.assert_allclose(ras, TO_MOVING.matrix, atol=1e-5)

    def test_warp(self, grids, tmp_path):
        path, (fixed, moving) = write("fsl", FIELD, tmp_path / "w.nii.gz", grids), grids
        warp = nibabel.load(path)  # applywarp --rel
        assert warp.shape == (*fixed.shape, 3)
        np.testing.assert_allclose(warp.affine, fixed.affine, atol=1e-4)
        start = at(fsl_mm(fixed), voxels_of(fixed))
        voxels = at(
            np.linalg.inv(fsl_mm(moving)), start + warp.get_fdata().reshape(-1, 3)
        )
        expected = moving_voxels(FIELD, fixed, moving)
        np.testing.assert_allclose(voxels, expected, atol=1e-4)
        check_image(voxels, FIELD, fixed, moving)
        check_back(path, FIELD.to_field(fixed), convention="fsl", moving=moving)

    def test_absolute_warp_is_told_by_its_variation(self, tmp_path):
        grids = FIXED.grid, MOVING.grid
        warp = nibabel.load(write("fsl", FIELD, tmp_path / "w.nii.gz", grids))
        start = at(fsl_mm(FIXED.grid), voxels_of(FIXED.grid)).reshape(warp.shape)
        absolute = nibabel.Nifti1Image(
            (warp.get_fdata() + start).astype(np.float32), warp.affine
        )
        nibabel.save(absolute, tmp_path / "abs.nii.gz")
        field = FIELD.to_field(FIXED.grid)
        check_back(tmp_path / "abs.nii.gz", field, convention="fsl", moving=MOVING.grid)


class TestAfni:
    def test_matrix(self, grids, tmp_path):
        path, (fixed, moving) = (
            write("afni", TO_MOVING, tmp_path / "a.1D", grids),
            grids,
        )
        matrix = np.vstack([np.loadtxt(path).reshape(3, 4), [0, 0, 0, 1]])
        mapped = at(matrix @ afni_mm(fixed), voxels_of(fixed))  # 3dAllineate
        voxels = at(np.linalg.inv(afni_mm(moving)), mapped)
        np.testing.assert_allclose(
            voxels, moving_voxels(TO_MOVING, fixed, moving), atol=1e-5
        )
        check_image(voxels, TO_MOVING, fixed, moving)
        check_back(path, TO_MOVING, fixed=fixed, moving=moving)

    def test_matrix_is_as_nitransforms_reads_it(self, grids, tmp_path):
        path = write("afni", TO_MOVING, tmp_path / "a.1D", grids)
        theirs = nitransforms.io.afni.AFNILinearTransform.from_filename(path)
        ras = theirs.to_ras(moving=nifti(grids[1]), reference=nifti(grids[0]))
        np.testing.assert_allclose(ras, TO_MOVING.matrix, atol=1e-4)

    def test_warp(self, grids, tmp_path):
        path, (fixed, moving) = (
            write("afni", FIELD, tmp_path / "w.nii.gz", grids),
            grids,
        )
        warp = nibabel.load(path)  # 3dNwarpApply
        assert warp.shape == (*fixed.shape, 1, 3)
        start = at(afni_mm(fixed), voxels_of(fixed))
        voxels = at(
            np.linalg.inv(afni_mm(moving)), start + warp.get_fdata().reshape(-1, 3)
        )
        expected = moving_voxels(FIELD, fixed, moving)
        np.testing.assert_allclose(voxels, expected, atol=1e-4)
        check_image(voxels, FIELD, fixed, moving)
        check_back(
            path, FIELD.to_field(fixed), convention="afni", fixed=fixed, moving=moving
        )

    def test_warp_on_straight_axes_is_itks(self, tmp_path):
        fixed, moving = (
            Grid(image.grid.shape, np.diag([-1.0, 2.0, 3.0, 1.0]))
            for image in (FIXED, MOVING)
        )
        field = smooth_field(fixed, largest_voxels=1.5)
        path = write("afni", field, tmp_path / "w.nii.gz", (fixed, moving))
        read = io.read_transform(path)
        np.testing.assert_allclose(read.vectors_mm, field.vectors_mm, atol=1e-5)


class TestFreesurfer:
    def test_lta(self, grids, tmp_path):
        path, (fixed, moving) = (
            write("freesurfer", TO_MOVING, tmp_path / "a.lta", grids),
            grids,
        )
        lta = nitransforms.io.lta.FSLinearTransform.from_filename(path)
        # LINEAR_RAS_TO_RAS: from the source, which is resampled, to the target.
        assert lta["type"] == 1
        np.testing.assert_allclose(lta["src"].as_affine(), moving.affine, atol=1e-4)
        np.testing.assert_allclose(lta["dst"].as_affine(), fixed.affine, atol=1e-4)
        mapped = at(np.linalg.inv(lta["m_L"]) @ fixed.affine, voxels_of(fixed))
        check_image(moving.world_to_voxel(mapped), TO_MOVING, fixed, moving)
        check_back(path, TO_MOVING)

    def test_lta_of_voxels_is_read(self, grids, tmp_path):
        fixed, moving = grids
        path = write("freesurfer", TO_MOVING, tmp_path / "a.lta", grids)
        lta = nitransforms.io.lta.FSLinearTransform.from_filename(path)
        to_fixed = np.linalg.inv(TO_MOVING.matrix)
        lta.structarr["type"] = 0
        lta.structarr["m_L"] = np.linalg.inv(fixed.affine) @ to_fixed @ moving.affine
        lta.to_filename(path)
        check_back(path, TO_MOVING, atol=1e-2)

    def test_field_is_refused(self, tmp_path):
        with pytest.raises(InputError, match=r"expected an affine transform.*LTA"):
            write("freesurfer", FIELD, tmp_path / "a.lta", (FIXED.grid, MOVING.grid))


class TestX5:
    def test_matrix(self, tmp_path):
        path = write("x5", TO_MOVING, tmp_path / "a.x5", (FIXED.grid, MOVING.grid))
        theirs = nitransforms.linear.Affine.from_filename(path, fmt="X5")
        np.testing.assert_allclose(
            theirs.map(POINTS_MM), TO_MOVING.map_positions(POINTS_MM), atol=1e-3
        )
        check_back(path, TO_MOVING)

    def test_field(self, grids, tmp_path):
        path = write("x5", FIELD, tmp_path / "a.x5", grids)
        theirs = nitransforms.nonlinear.DenseFieldTransform.from_filename(path, "X5")
        centers = grids[0].voxel_centers_mm()[3:-3, 3:-3, 3:-3].reshape(-1, 3)
        np.testing.assert_allclose(
            theirs.map(centers), FIELD.map_positions(centers), atol=1e-2
        )
        check_back(path, FIELD.to_field(grids[0]))


class TestAnts:
    @pytest.mark.parametrize(
        ("transform", "name"), [(TO_MOVING, "a.mat"), (FIELD, "w.nii.gz")]
    )
    def test_image_is_moved_alike(self, transform, name, grids, tmp_path):
        ants = pytest.importorskip("ants", reason="antspyx is not installed")
        fixed, moving = grids
        path = write("ants", transform, tmp_path / name, grids)
        image = Image(np.random.default_rng(0).standard_normal(moving.shape), moving)
        for each, at_ in ((image, "m"), (Image(np.zeros(fixed.shape), fixed), "f")):
            io.write(each, tmp_path / f"{at_}.nii.gz")
        theirs = ants.apply_transforms(
            ants.image_read(str(tmp_path / "f.nii.gz")),
            ants.image_read(str(tmp_path / "m.nii.gz")),
            [str(path)],
        ).numpy()
        ours = transform.resample(image, onto=fixed, fill=0.0).data
        assert (np.abs(ours - theirs) > 1e-2).mean() < 1e-2
        assert (theirs != 0).mean() > 0.2
        check_back(path, transform.to_field(fixed))


class TestLearn2Reg:
    """evaluation/utils.py of the challenge."""

    def test_image_and_landmarks(self, grids, tmp_path):
        fixed, moving = grids
        path = write("learn2reg", FIELD, tmp_path / "disp.nii.gz", grids)
        displacement = nibabel.load(path).get_fdata().transpose(3, 0, 1, 2)
        identity = np.meshgrid(*(np.arange(n) for n in fixed.shape), indexing="ij")
        voxels = (np.array(identity) + displacement).reshape(3, -1).T
        check_image(voxels, FIELD, fixed, moving)
        landmarks = np.random.default_rng(1).uniform(4, 8, (20, 3))
        shifts = [map_coordinates(component, landmarks.T) for component in displacement]
        warped = landmarks + np.array(shifts).T
        expected = moving.world_to_voxel(
            FIELD.map_positions(fixed.voxel_to_world(landmarks))
        )
        np.testing.assert_allclose(warped, expected, atol=0.1)  # cubic, not linear
        check_back(
            path,
            FIELD.to_field(fixed),
            convention="learn2reg",
            fixed=fixed,
            moving=moving,
        )


@pytest.mark.parametrize("name", ["a.mat", "a.1D"])
def test_scans_are_asked_for_where_a_file_depends_on_them(name, tmp_path):
    target = "fsl" if name == "a.mat" else "afni"
    path = write(target, TO_MOVING, tmp_path / name, (FIXED.grid, MOVING.grid))
    with pytest.raises(InputError, match=r"the fixed scan.*--fixed and --moving"):
        io.read_transform(path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.lta", "type      = 1\nnxforms   = 1\nmean = rubbish\n"),
        ("a.mat", "0 0 0 0\n" * 4),
        ("a.1D", "# 3dAllineate matrices (x):\n" + "1 " * 24 + "\n"),
        ("a.mat", "1 0 0 1e400\n" * 4),
    ],
)
def test_damaged_files_are_refused(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=name):
        io.read_transform(tmp_path / name, fixed=FIXED.grid, moving=MOVING.grid)


def test_identity_survives_every_matrix_format(tmp_path):
    grids = FIXED.grid, FIXED.grid
    for target, name in (("fsl", "a.mat"), ("afni", "a.1D"), ("freesurfer", "a.lta")):
        path = write(target, Affine.identity(), tmp_path / name, grids)
        again = io.read_transform(path, fixed=FIXED.grid, moving=FIXED.grid)
        np.testing.assert_allclose(again.matrix, np.eye(4), atol=1e-6)


@pytest.mark.parametrize("suffix", [".h5", ".tfm"])
def test_a_convention_that_would_do_nothing_is_refused(suffix, tmp_path):
    path = io.write(FIELD, tmp_path / f"a{suffix}")
    with pytest.raises(InputError, match=r"of fsl, got .*leave the convention out"):
        io.read_transform(path, convention="fsl")
