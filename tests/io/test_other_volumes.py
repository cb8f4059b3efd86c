"""AFNI's and MRtrix's images."""

import gzip
from itertools import product
from pathlib import Path

import nibabel
import numpy as np
import pytest

from support.scans import FIXED, STORAGE_ORDERS
from voltween import io
from voltween.errors import InputError
from voltween.spatial import Grid, Image

RANDOM = np.random.default_rng(0)
LPS = np.array([[-1.0], [-1], [1]])
EXAMPLES = Path(nibabel.__file__).parent / "tests" / "data"


def attribute(name, values):
    values = np.ravel(values)
    kind = "float" if values.dtype.kind == "f" else "integer"
    numbers = " ".join(map(repr, values.tolist()))
    return (
        f"type = {kind}-attribute\nname = {name}\ncount = {values.size}\n {numbers}\n"
    )


def write_afni(folder, data, grid, *, factors=(0.0,), suffix=".BRIK"):
    """A data set as README.attributes of AFNI describes it."""
    volumes = data.shape[3] if data.ndim == 4 else 1
    codes = {"int16": 1, "float32": 3, "uint8": 0}
    head = [
        attribute("DATASET_RANK", [3, volumes, 0, 0]),
        attribute("DATASET_DIMENSIONS", [*grid.shape, 0, 0]),
        attribute("DELTA", grid.spacing_mm),
        attribute("BRICK_TYPES", [codes[str(data.dtype)]] * volumes),
        attribute("BRICK_FLOAT_FACS", np.array(factors) * np.ones(volumes)),
        attribute("IJK_TO_DICOM_REAL", grid.affine[:3] * LPS),
        attribute("TAXIS_NUMS", [volumes, 0, 77002]),
        attribute("TAXIS_FLOATS", [0.0, 2.5, 0.0, 0.0, 0.0]),
        "type = string-attribute\nname = BYTEORDER_STRING\ncount = 10\n'LSB_FIRST~\n",
        "type = string-attribute\nname = TEMPLATE_SPACE\ncount = 5\n'ORIG~\n",
    ]
    (folder / "scan+orig.HEAD").write_text("\n".join(head))
    content = data.tobytes(order="F")
    packed = gzip.compress(content) if suffix.endswith(".gz") else content
    (folder / f"scan+orig{suffix}").write_bytes(packed)
    return folder / "scan+orig.HEAD"


class TestAfni:
    @pytest.mark.parametrize("suffix", [".BRIK", ".BRIK.gz"])
    def test_scan_is_where_nibabel_has_it(self, suffix, tmp_path):
        data = RANDOM.integers(-900, 900, FIXED.grid.shape).astype(np.int16)
        path = write_afni(tmp_path, data, FIXED.grid, suffix=suffix)
        image = io.read(path)
        np.testing.assert_array_equal(image.data, data)
        assert image.grid.is_close(FIXED.grid, 1e-6)
        by_nibabel = nibabel.load(path)
        np.testing.assert_allclose(by_nibabel.affine, image.grid.affine)
        np.testing.assert_array_equal(by_nibabel.get_fdata().squeeze(), image.data)

    def test_either_half_may_be_named(self, tmp_path):
        data = RANDOM.integers(0, 9, FIXED.grid.shape).astype(np.int16)
        write_afni(tmp_path, data, FIXED.grid)
        labels = io.read_labels(tmp_path / "scan+orig.BRIK")
        np.testing.assert_array_equal(labels.data, data)

    def test_every_volume_has_its_factor(self, tmp_path):
        data = RANDOM.integers(0, 9, (*FIXED.grid.shape, 3)).astype(np.int16)
        path = write_afni(tmp_path, data, FIXED.grid, factors=(0.5, 0.0, 2.0))
        series = io.read_channels(path)
        assert (series.meaning, series.step_s) == ("series", 2.5)
        np.testing.assert_allclose(series.data, data * [0.5, 1.0, 2.0])

    def test_example_of_nibabel(self):
        path = EXAMPLES / "example4d+orig.HEAD"
        if not path.exists():
            pytest.skip("nibabel is installed without its test data")
        by_nibabel = nibabel.load(path)
        series = io.read_channels(path)
        np.testing.assert_allclose(series.grid.affine, by_nibabel.affine, atol=1e-6)
        np.testing.assert_allclose(series.data, by_nibabel.get_fdata(), rtol=1e-6)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda head: head.replace("IJK_TO_DICOM_REAL", "ELSE"), "whole header"),
            (lambda head: head.replace("= 10\n", "= 1\n").replace("2.5", "x"), "whole"),
            (lambda head: head[:300], "whole header"),
        ],
    )
    def test_damaged_header_is_refused(self, change, message, tmp_path):
        data = np.zeros(FIXED.grid.shape, np.int16)
        path = write_afni(tmp_path, data, FIXED.grid)
        path.write_text(change(path.read_text()))
        with pytest.raises(InputError, match=message):
            io.read(path)

    def test_missing_voxels_are_named(self, tmp_path):
        path = write_afni(tmp_path, np.zeros(FIXED.grid.shape, np.int16), FIXED.grid)
        (tmp_path / "scan+orig.BRIK").unlink()
        with pytest.raises(InputError, match=r"a \.BRIK beside it"):
            io.read(path)


def write_mif(path, data, grid, order=None, signs=None, **changes):
    """An image as MRtrix's documentation describes it: axes in the given strides."""
    axes = data.ndim
    order = order or tuple(range(axes))  # the rank of each axis, 0 is the fastest
    signs = signs or ("+",) * axes
    stored = data
    for axis, sign in enumerate(signs):
        stored = np.flip(stored, axis) if sign == "-" else stored
    fastest_first = np.argsort(order)
    content = stored.transpose(fastest_first).tobytes(order="F")
    directions = grid.affine[:3, :3] / grid.spacing_mm
    transform = np.column_stack([directions, grid.affine[:3, 3]])
    fields = {
        "dim": ",".join(map(str, data.shape)),
        "vox": ",".join([*map(repr, grid.spacing_mm.tolist()), *["2.5"] * (axes - 3)]),
        "layout": ",".join(f"{s}{n}" for s, n in zip(signs, order, strict=True)),
        "datatype": {"i": "Int16LE", "f": "Float32LE"}[data.dtype.kind],
    } | changes
    lines = ["mrtrix image", *(f"{k}: {v}" for k, v in fields.items())]
    lines += ["transform: " + ",".join(map(repr, row)) for row in transform.tolist()]
    head = "\n".join(lines)
    offset = len(head) + 40
    if path.suffix == ".mih":
        path.write_text(f"{head}\nfile: voxels.dat\nEND\n")
        (path.parent / "voxels.dat").write_bytes(content)
        return path
    whole = f"{head}\nfile: . {offset}\nEND\n".encode().ljust(offset, b"\0") + content
    path.write_bytes(gzip.compress(whole) if path.suffix == ".gz" else whole)
    return path


def at_points(image, grid):
    """Values at voxels of a grid, in the order of that grid."""
    voxels = np.rint(image.grid.world_to_voxel(grid.voxel_centers_mm())).astype(int)
    return image.data[tuple(np.moveaxis(voxels, -1, 0))]


class TestMrtrix:
    DATA = RANDOM.integers(-900, 900, FIXED.grid.shape).astype(np.int16)

    @pytest.mark.parametrize(("axes", "flips"), STORAGE_ORDERS[::5])
    def test_scan_is_in_place_for_all_strides(self, axes, flips, tmp_path):
        signs = ["-" if flip else "+" for flip in flips]
        path = write_mif(tmp_path / "a.mif", self.DATA, FIXED.grid, axes, signs)
        image = io.read(path)
        np.testing.assert_array_equal(at_points(image, FIXED.grid), self.DATA)

    @pytest.mark.parametrize("name", ["a.mif.gz", "a.mih"])
    def test_compressed_and_detached(self, name, tmp_path):
        image = io.read(write_mif(tmp_path / name, self.DATA, FIXED.grid))
        np.testing.assert_array_equal(image.data, self.DATA)
        assert image.grid.is_close(FIXED.grid, 1e-6)

    @pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 2, 3, 0), (3, 2, 1, 0)])
    def test_series_in_either_order(self, order, tmp_path):
        data = RANDOM.standard_normal((*FIXED.grid.shape, 3)).astype(np.float32)
        path = write_mif(tmp_path / "a.mif", data, FIXED.grid, order)
        series = io.read_channels(path)
        assert (series.meaning, series.count, series.step_s) == ("series", 3, 2.5)
        for n in range(3):
            volume = Image(series.data[..., n], series.grid)
            np.testing.assert_array_equal(at_points(volume, FIXED.grid), data[..., n])
        assert io.is_series(path)

    def test_values_are_scaled(self, tmp_path):
        path = write_mif(tmp_path / "a.mif", self.DATA, FIXED.grid, scaling="3,0.5")
        np.testing.assert_allclose(io.read(path).data, self.DATA * 0.5 + 3)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"datatype": "Bit"}, "expected a `datatype`"),
            ({"datatype": "CFloat32LE"}, "expected a `datatype`"),
            ({"datatype": "Float8"}, "expected a `datatype`"),
            ({"layout": "+0,+1,+1"}, "each of 3 axes once"),
            ({"layout": "0,1,2"}, "a `layout` such as"),
            ({"dim": "18,16"}, "one 3D image|each of 2 axes"),
            ({"vox": "1,1"}, "three rows of four numbers"),
            ({"dim": "18,16,9999"}, "bytes of voxels"),
            ({"scaling": "1"}, "offset and factor"),
        ],
    )
    def test_damaged_header_is_refused(self, changes, message, tmp_path):
        path = write_mif(tmp_path / "a.mif", self.DATA, FIXED.grid, **changes)
        with pytest.raises(InputError, match=message):
            io.read(path)

    def test_voxels_elsewhere_are_refused(self, tmp_path):
        path = write_mif(tmp_path / "a.mih", self.DATA, FIXED.grid)
        path.write_text(path.read_text().replace("voxels.dat", "../voxels.dat"))
        with pytest.raises(InputError, match="same folder"):
            io.read(path)


@pytest.mark.parametrize(("i", "j"), list(product((-1.0, 1.0), repeat=2)))
def test_a_flip_would_be_betrayed_by_both_readers(i, j, tmp_path):
    grid = Grid(FIXED.grid.shape, FIXED.grid.affine @ np.diag([i, j, 1.0, 1.0]))
    data = RANDOM.integers(-900, 900, grid.shape).astype(np.int16)
    afni = io.read(write_afni(tmp_path, data, grid))
    mrtrix = io.read(write_mif(tmp_path / "a.mif", data, grid))
    nifti = io.read(io.write(Image(data, grid), tmp_path / "a.nii.gz"))
    for other in (afni, mrtrix):
        assert other.grid.is_close(nifti.grid)
        np.testing.assert_array_equal(other.data, nifti.data)
