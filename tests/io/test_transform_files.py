"""Transform files: one file is one transform, or an error that says why."""

import gzip
import os
import time

import h5py
import numpy as np
import pytest
import SimpleITK as sitk
from scipy.io import savemat

from support.scans import (
    FIXED,
    TO_MOVING,
    oblique_grid,
    random_points_mm,
    smooth_field,
    smooth_spline,
    some_affine,
)
from voltween import io
from voltween.errors import InputError
from voltween.spatial import Field, Grid

POINTS_MM = random_points_mm(FIXED.grid, 20)
HEADER = "#Insight Transform File V1.0\n"
SHIFT = (
    "#Transform {n}\nTransform: TranslationTransform_double_3_3\n"
    "Parameters: 0 0 {z}\nFixedParameters:\n\n"
)
GRID = oblique_grid((9, 8, 7))


def shear(grid):
    affine = grid.affine.copy()
    affine[:3, 1] += 0.3 * affine[:3, 0]
    return Grid(grid.shape, affine)


class TestSeveral:
    """Several transforms in one file."""

    def test_without_an_order_they_are_refused_by_name(self, tmp_path):
        path = tmp_path / "from-bold_to-T1w.txt"
        text = "".join(SHIFT.format(n=n, z=n) for n in range(6))
        path.write_text(HEADER + text)
        with pytest.raises(InputError, match=r"6 transforms: Trans.* 2 more"):
            io.read_transform(path)

    def test_those_of_hdf5_as_well(self, tmp_path):
        path = io.write(some_affine() @ smooth_field(GRID), tmp_path / "t.h5")
        with h5py.File(path, "a") as file:
            for member in file["TransformGroup"]:
                if member != "0":
                    file["TransformGroup"].move(member, str(int(member) - 1 or "x"))
            del file["TransformGroup/0"]
            file["TransformGroup"].move("x", "0")
        with pytest.raises(InputError, match=r"AffineTransform, DisplacementField"):
            io.read_transform(path)

    def test_a_composite_of_text_applies_the_last_one_first(self, tmp_path):
        path = tmp_path / "t.tfm"
        composite = "#Transform 0\nTransform: CompositeTransform_double_3_3\n"
        stretch = (
            "Transform: ScaleTransform_double_3_3\nParameters: 1 1 2\n"
            "FixedParameters: 0 0 0\n"
        )
        path.write_text(HEADER + composite + SHIFT.format(n=1, z=10) + stretch)
        mapped = io.read_transform(path).map_positions(np.array([[0, 0, 1.0]]))
        by_itk = sitk.ReadTransform(str(path)).TransformPoint((0, 0, 1.0))
        assert mapped.tolist() == [[0, 0, 12]] == [list(by_itk)]

    def test_several_matrices_of_a_mat_file_are_refused(self, tmp_path):
        numbers = {"AffineTransform_double_3_3": np.ones(12), "fixed": np.zeros(3)}
        savemat(tmp_path / "t.mat", {**numbers, "other": np.ones(12)}, format="4")
        with pytest.raises(InputError, match=r"named .*'fixed', 'other'"):
            io.read_transform(tmp_path / "t.mat")


@pytest.mark.parametrize("suffix", [".h5", ".tfm"])
@pytest.mark.parametrize("grid", [GRID, shear(GRID)], ids=["oblique", "sheared"])
def test_transforms_have_the_same_numbers_and_bytes_when_written_again(
    suffix, grid, tmp_path
):
    transform = some_affine() @ smooth_spline(grid) @ smooth_field(grid)
    path = io.write(transform, tmp_path / f"one{suffix}")
    back = io.read_transform(path)
    for read, written in zip(back.parts(), transform.parts(), strict=True):
        if isinstance(written, Field):
            np.testing.assert_allclose(read.vectors_mm, written.vectors_mm, atol=1e-12)
    assert back.parts()[2].grid.is_close(grid, 1e-9)
    time.sleep(1.1)  # file formats store the time in seconds
    again = io.write(transform, tmp_path / f"another name{suffix}")
    assert again.read_bytes() == path.read_bytes()
    position_lps = POINTS_MM[0] * [-1, -1, 1]
    by_itk = sitk.ReadTransform(str(path)).TransformPoint(position_lps.tolist())
    mapped = transform.map_positions(POINTS_MM[:1])[0] * [-1, -1, 1]
    np.testing.assert_allclose(by_itk, mapped, atol=1e-9)


class TestHdf5:
    """HDF5 files that are no whole transform."""

    @pytest.fixture(name="path")
    def path_fixture(self, tmp_path):
        return io.write(smooth_field(GRID), tmp_path / "t.h5")

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
    def test_files_cut_short_are_refused_in_one_line(self, share, path, capfd):
        whole = path.read_bytes()
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError, match=r"t\.h5: .* damaged or cut short"):
            io.read_transform(path)
        assert capfd.readouterr() == ("", "")

    def test_a_changed_number_is_told_by_its_checksum(self, path):
        content = bytearray(path.read_bytes())
        content[content.index(smooth_field(GRID).vectors_mm[4, 4, 4, 2].tobytes())] ^= 1
        path.write_bytes(content)
        with pytest.raises(InputError, match="damaged or cut short"):
            io.read_transform(path)

    def test_numbers_that_were_never_stored_are_no_zeros(self, path):
        with h5py.File(path, "a") as file:
            record = file["TransformGroup/0"]
            count = len(record["TransformParameters"])
            del record["TransformParameters"]
            record.create_dataset("TransformParameters", (count,), "f8", chunks=(64,))
        with pytest.raises(InputError, match="damaged or cut short"):
            io.read_transform(path)

    def test_a_header_that_lies_about_its_size_takes_no_memory(self, path):
        with h5py.File(path, "a") as file:
            record = file["TransformGroup/0"]
            del record["TransformParameters"]
            record.create_dataset(
                "TransformParameters", (2**36,), "f8", chunks=(2**20,), compression=9
            )
        with pytest.raises(InputError, match="damaged or cut short"):
            io.read_transform(path)

    @pytest.mark.parametrize("kind", ["external", "soft", "storage", "virtual"])
    def test_parts_in_other_files_are_not_read(self, kind, path, tmp_path):
        (tmp_path / "secret").write_bytes(bytes(8 * 12))
        with h5py.File(path, "a") as file:
            record = file["TransformGroup/0"]
            del record["TransformParameters"]
            if kind == "external":
                link = h5py.ExternalLink(str(tmp_path / "other.h5"), "/x")
                record["TransformParameters"] = link
            elif kind == "soft":
                record["TransformParameters"] = h5py.SoftLink("/TransformGroup")
            elif kind == "storage":
                secret = [(str(tmp_path / "secret"), 0, 96)]
                record.create_dataset(
                    "TransformParameters", (12,), "f8", external=secret
                )
            else:
                layout = h5py.VirtualLayout((12,), "f8")
                layout[:] = h5py.VirtualSource(str(tmp_path / "o.h5"), "x", (12,))
                record.create_virtual_dataset("TransformParameters", layout)
        with pytest.raises(InputError, match="a file that holds all of its numbers"):
            io.read_transform(path)

    def test_a_damaged_heap_of_texts_does_not_hang(self, path):
        content = path.read_bytes()
        size = content.index(b"GCOL") + 16 + 8
        path.write_bytes(content[:size] + bytes(8) + content[size + 8 :])
        with pytest.raises(InputError, match=r"kind of a transform|damaged"):
            io.read_transform(path)

    def test_another_hdf5_file_is_named(self, tmp_path):
        with h5py.File(tmp_path / "t.h5", "w") as file:
            file["volumes"] = np.zeros(3)
        with pytest.raises(InputError, match="an HDF5 file with volumes"):
            io.read_transform(tmp_path / "t.h5")

    def test_an_x5_file_without_a_transform_is_refused(self, tmp_path):
        with h5py.File(tmp_path / "t.x5", "w") as file:
            file.attrs["Format"] = "X5"
            file.create_group("TransformGroup")
        with pytest.raises(InputError, match="one transform in an X5 file, got 0"):
            io.read_transform(tmp_path / "t.x5")

    def test_older_files_of_itk_spell_their_members_otherwise(self, tmp_path):
        path = io.write(TO_MOVING, tmp_path / "t.h5")
        with h5py.File(path, "a") as file:
            for member in ("Parameters", "FixedParameters"):
                file["TransformGroup/0"].move(f"Transform{member}", f"Tranform{member}")
        back = io.read_transform(path).map_positions(POINTS_MM)
        np.testing.assert_allclose(back, TO_MOVING.map_positions(POINTS_MM), atol=1e-12)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a file with none"),
        ("Parameters: 1 2 3\n", "begins with 'Parameters'"),
        ("Transform: AffineTransform_double_3_3\nParameters: 1 two\n", "is no number"),
        (
            "Transform: AffineTransform_double_3_3\nParameters: 1 2\n"
            "FixedParameters: 0 0 0\n",
            "expected 12 parameters, got 2",
        ),
        (
            "Transform: Euler3DTransform_double_3_3\nParameters: 0 0 0 0 0 0\n"
            "FixedParameters: 0\n",
            "fixed parameters, got 1",
        ),
        (
            "Transform: TranslationTransform_double_3_3\nParameters: 0 nan 0\n"
            "FixedParameters:\n",
            "finite 4x4 matrix",
        ),
        (
            "Transform: TranslationTransform_double_3_3\nParameters: 0 1e300 0\n"
            "FixedParameters:\n",
            "within",
        ),
        ("Transform: AffineTransform_double_2_2\n", "a 3D transform, got 2D"),
        ("Transform: Nonsense_double_3_3\n", "got a Nonsense_double_3_3"),
        ("Transform: \n", "the kind of a transform"),
        (
            "Transform: DisplacementFieldTransform_double_3_3\nParameters: 1 2 3\n"
            "FixedParameters: 1e99 1 1 0 0 0 1 1 1 1 0 0 0 1 0 0 0 1\n",
            "sizes of a grid",
        ),
    ],
)
def test_damaged_text_is_refused(text, message, tmp_path):
    (tmp_path / "t.txt").write_text(HEADER + text)
    with pytest.raises(InputError, match=message):
        io.read_transform(tmp_path / "t.txt")


@pytest.mark.parametrize("name", ["T.H5", "t.bin", "t.nii.gz"])
def test_the_content_and_not_the_name_says_what_a_transform_is(name, tmp_path):
    written = io.write(TO_MOVING, tmp_path / "t.h5")
    os.replace(written, tmp_path / name)
    back = io.read_transform(tmp_path / name).map_positions(POINTS_MM)
    np.testing.assert_allclose(back, TO_MOVING.map_positions(POINTS_MM), atol=1e-12)


@pytest.mark.parametrize("cut", [10, 30, 100])
def test_a_mat_file_cut_short_is_refused(cut, tmp_path):
    path = tmp_path / "t.mat"
    sitk.WriteTransform(sitk.AffineTransform(3), str(path))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"t\.mat: expected (an|one) ITK transform"):
        io.read_transform(path)


FOREIGN = {
    "elastix": '(Transform "EulerTransform")\n(NumberOfParameters 6)\n',
    "MNI": "MNI Transform File\n%x\nTransform_Type = Linear;\n",
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_transforms_of_other_tools_are_named_with_the_way_on(kind, tmp_path):
    (tmp_path / "t.mat").write_text(FOREIGN[kind])
    with pytest.raises(InputError, match=rf"{kind}.*: save it as|{kind}.*transformix"):
        io.read_transform(tmp_path / "t.mat")


def test_a_morph_of_freesurfer_is_named_with_the_way_on(tmp_path):
    sizes = np.array([8, 8, 8, 2], ">i4").tobytes()
    head = np.array([1.0], ">f4").tobytes() + sizes + bytes(4000)
    (tmp_path / "talairach.m3z").write_bytes(gzip.compress(head))
    with pytest.raises(InputError, match=r"\.m3z.*mri_warp_convert --inm3z"):
        io.read_transform(tmp_path / "talairach.m3z")


@pytest.mark.parametrize("suffix", [".h5", ".mat"])
def test_a_lack_of_memory_is_no_fault_of_the_file(suffix, tmp_path, monkeypatch):
    path = tmp_path / f"t{suffix}"
    sitk.WriteTransform(sitk.AffineTransform(3), str(path))

    def lack(*_, **__):
        raise MemoryError

    monkeypatch.setattr("h5py.File", lack)
    monkeypatch.setattr("scipy.io.matlab.loadmat", lack)
    with pytest.raises(MemoryError):
        io.read_transform(path)
