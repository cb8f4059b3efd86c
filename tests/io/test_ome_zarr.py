"""OME-Zarr images: their places on flipped, exchanged, anisotropic grids."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

from voltween import io
from voltween.errors import InputError, SuspiciousInputWarning
from voltween.spatial import Grid, Image, LabelMap
from voltween.storage import content_digest

ngff_zarr = pytest.importorskip("ngff_zarr", reason="ngff-zarr is not installed")

SHAPE = 7, 5, 4
GRIDS = {
    "RAS": [[1.1, 0, 0, -3], [0, 1.7, 0, 8], [0, 0, 2.3, -5]],
    "LPS": [[-1.1, 0, 0, 9], [0, -1.7, 0, 8], [0, 0, 2.3, 4]],
    "PIR": [[0, 0, 2.3, 3], [-1.1, 0, 0, -6], [0, -1.7, 0, 12]],
    "SLA": [[0, -1.7, 0, 2], [0, 0, 2.3, -7], [1.1, 0, 0, 5]],
}


@pytest.fixture(name="grid", params=GRIDS)
def grid_fixture(request):
    affine = np.vstack([np.array(GRIDS[request.param], float), [0, 0, 0, 1]])
    return Grid(SHAPE, affine)


def numbers(dtype=np.int16):
    generator = np.random.default_rng(0)
    return generator.integers(0, 200, SHAPE).astype(dtype)


def value_at(image, positions_mm):
    i, j, k = np.rint(image.grid.world_to_voxel(positions_mm)).astype(int).T
    return image.data[i, j, k]


def test_values_stay_at_their_places(grid, tmp_path):
    image = Image(numbers(), grid)
    again = io.read(io.write(image, tmp_path / "a.ome.zarr"))
    centers = grid.voxel_centers_mm().reshape(-1, 3)
    np.testing.assert_array_equal(value_at(again, centers), image.data.ravel())
    assert again.grid.axcodes == "LPS"
    assert again.dtype == np.int16


def test_ngff_zarr_itself_places_them_alike(grid, tmp_path):
    path = io.write(Image(numbers(), grid), tmp_path / "a.ome.zarr")
    level = ngff_zarr.from_ngff_zarr(str(path)).images[0]
    theirs = ngff_zarr.ngff_image_to_itk_image(level)
    itk_image = sitk.GetImageFromArray(np.asarray(theirs.data))
    itk_image.SetOrigin(list(map(float, theirs.origin)))
    itk_image.SetSpacing(list(map(float, theirs.spacing)))
    itk_image.SetDirection(np.ravel(theirs.direction).tolist())
    positions = grid.voxel_centers_mm().reshape(-1, 3) * [-1, -1, 1]
    indices = map(itk_image.TransformPhysicalPointToIndex, positions.tolist())
    values = [itk_image[index] for index in indices]
    np.testing.assert_array_equal(values, numbers().ravel())


def test_labels_keep_their_numbers(grid, tmp_path):
    labels = LabelMap(numbers(np.uint16), grid)
    again = io.read_labels(io.write(labels, tmp_path / "a.ome.zarr"))
    assert again.labels == labels.labels
    assert again.data.dtype == np.uint16


def test_an_oblique_grid_is_refused(tmp_path):
    affine = np.eye(4)
    affine[:2, :2] = [[0.8, -0.6], [0.6, 0.8]]
    with pytest.raises(InputError, match="oblique grid"):
        io.write(Image(numbers(), Grid(SHAPE, affine)), tmp_path / "a.ome.zarr")
    assert not any(tmp_path.iterdir())


def test_what_exists_is_not_replaced(grid, tmp_path):
    path = io.write(Image(numbers(), grid), tmp_path / "a.ome.zarr")
    before = content_digest(path)
    with pytest.raises(InputError, match="a new folder"):
        io.write(Image(numbers() + 1, grid), path)
    assert content_digest(path) == before


def changed(path, change):
    """The image with other metadata."""
    metadata = json.loads((path / "zarr.json").read_text())
    (scales,) = metadata["attributes"]["ome"]["multiscales"]
    change(scales)
    (path / "zarr.json").write_text(json.dumps(metadata))
    return path


def test_units_are_converted(grid, tmp_path):
    path = io.write(Image(numbers(), grid), tmp_path / "a.ome.zarr")
    before = io.read(path).grid.affine

    def change(scales):
        for axis in scales["axes"]:
            axis["unit"] = "micrometer"

    affine = io.read(changed(path, change)).grid.affine
    np.testing.assert_allclose(affine[:3], before[:3] / 1000)


def test_directions_that_are_missing_are_assumed_with_a_warning(grid, tmp_path):
    path = io.write(Image(numbers(), grid), tmp_path / "a.ome.zarr")
    before = io.read(path).grid

    def change(scales):
        for axis in scales["axes"]:
            del axis["orientation"]

    with pytest.warns(
        SuspiciousInputWarning,
        match=r"\.ome\.zarr: the OME-Zarr image states no anatomical directions",
    ):
        assert io.read(changed(path, change)).grid.is_close(before)


def test_directions_count_positions_along_them(tmp_path):
    grid = Grid(SHAPE, np.array([*GRIDS["LPS"], [0, 0, 0, 1]], float))
    path = io.write(Image(numbers(), grid), tmp_path / "a.ome.zarr")

    def change(scales):
        scales["axes"][2]["orientation"]["value"] = "left-to-right"

    with pytest.warns(SuspiciousInputWarning, match="check the place"):
        affine = io.read(changed(path, change)).grid.affine
    np.testing.assert_allclose(affine[0], -grid.affine[0])


def test_several_channels_are_refused(tmp_path):
    image = ngff_zarr.to_ngff_image(
        np.zeros((2, 4, 5, 6), np.uint8), dims=("c", "z", "y", "x")
    )
    levels = ngff_zarr.to_multiscales(image, scale_factors=[])
    ngff_zarr.to_ngff_zarr(str(tmp_path / "a.ome.zarr"), levels)
    with pytest.raises(InputError, match=r"a\.ome\.zarr.*axes x, y and z.*c: 2"):
        io.read(tmp_path / "a.ome.zarr")


@pytest.mark.parametrize("file", ["zarr.json", "scale0/image/zarr.json"])
def test_damaged_metadata_are_refused(file, grid, tmp_path):
    path = io.write(Image(numbers(), grid), tmp_path / "a.ome.zarr")
    content = (path / file).read_bytes()
    (path / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"a\.ome\.zarr"):
        io.read(path)


def test_the_digest_sees_every_part(grid, tmp_path):
    path = io.write(Image(numbers(), grid), tmp_path / "a.ome.zarr")
    before = content_digest(path)
    (chunk,) = (file for file in path.rglob("0") if file.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"x")
    assert content_digest(path) != before
