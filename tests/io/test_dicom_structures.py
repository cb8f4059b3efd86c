"""DICOM structure sets as label maps."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from support.dicom import AXIAL, OBLIQUE, SAGITTAL, write_stack, write_structure_set
from voltween import io
from voltween.errors import InputError, SuspiciousInputWarning

SHAPE = 40, 30, 14
# Cosines, first position, and slice distance: along or against the normal.
STACKS = {
    "axial": (AXIAL, (3.0, 4.0, -9.0), 2.5),
    "oblique, slices backward": (OBLIQUE, (3.0, 4.0, 20.0), -2.5),
    "sagittal": (SAGITTAL, (-12.0, 5.0, 30.0), 2.5),
    "flipped": ((-1, 0, 0, 0, 1, 0), (50.0, 4.0, 9.0), 2.5),
}


@pytest.fixture(name="grid", params=STACKS)
def grid_fixture(request, tmp_path):
    orientation, first, step = STACKS[request.param]
    return io.read(write_stack(tmp_path / "scan", SHAPE, orientation, first, step)).grid


def in_slice(grid, outline, k):
    """Positions in LPS of an outline (i, j) in voxels on a slice."""
    voxels = np.column_stack([outline, np.full(len(outline), float(k))])
    return grid.voxel_to_world(voxels) * [-1, -1, 1]


def circle(center, radius_i, radius_j, count=400):
    """An ellipse in voxels, which is a circle in mm."""
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    around = np.stack([radius_i * np.cos(angles), radius_j * np.sin(angles)], axis=1)
    return np.array(center) + around


def ball(grid, center, radius_mm):
    """The contours of a ball whose center is in voxels."""
    size_i, size_j, size_k = grid.spacing_mm
    contours = []
    for k in range(grid.shape[2]):
        squared = radius_mm**2 - ((k - center[2]) * size_k) ** 2
        if squared > 0:
            radius = np.sqrt(squared)
            outline = circle(center[:2], radius / size_i, radius / size_j)
            contours.append(in_slice(grid, outline, k))
    return contours


def distance_mm(grid, center):
    """Distance of every voxel from a position in voxels."""
    position = grid.voxel_to_world(np.array([center], float))
    return np.linalg.norm(grid.voxel_centers_mm() - position, axis=-1)


def test_balls_have_their_places_and_volumes(grid, tmp_path):
    centers, radius_mm = {"Liver": (12.3, 9.2, 5.1), "Kidney L": (28.4, 18.7, 8.2)}, 8.7
    structures = {name: ball(grid, at, radius_mm) for name, at in centers.items()}
    path = write_structure_set(tmp_path / "set.dcm", structures)
    labels = io.read_labels(path)
    assert labels.grid.is_close(grid)
    assert io.structure_names(path) == {1: "Liver", 2: "Kidney L"}
    for label, at in enumerate(centers.values(), 1):
        distances = distance_mm(grid, at)
        is_clear = np.abs(distances - radius_mm) > 0.01  # the outlines are polygons
        np.testing.assert_array_equal(
            (labels.data == label)[is_clear], (distances < radius_mm)[is_clear]
        )
        volume = (labels.data == label).sum() * np.prod(grid.spacing_mm)
        assert volume == pytest.approx(4 / 3 * np.pi * radius_mm**3, rel=0.03)


def test_several_contours_per_slice_and_holes(tmp_path):
    folder = write_stack(tmp_path / "scan", SHAPE, *STACKS["oblique, slices backward"])
    grid = io.read(folder).grid
    outlines = [
        circle(*shape) for shape in (((12, 12), 8.4, 8.4), ((12, 12), 4.3, 4.3))
    ]
    outlines.append(circle((30, 20), 3.6, 3.6))
    contours = [in_slice(grid, outline, k) for k in (4, 5, 6) for outline in outlines]
    path = write_structure_set(folder / "set.dcm", {"Ring": contours})
    labels = io.read_labels(path).data
    i, j = np.indices(SHAPE[:2])
    from_ring, from_island = np.hypot(i - 12, j - 12), np.hypot(i - 30, j - 20)
    expected = ((from_ring < 8.4) & (from_ring > 4.3)) | (from_island < 3.6)
    for k in range(SHAPE[2]):
        np.testing.assert_array_equal(labels[:, :, k], expected * (k in (4, 5, 6)))


@pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)
@pytest.mark.filterwarnings("ignore")  # of rt-utils, on pydicom
def test_masks_that_rt_utils_wrote_come_back(stack, tmp_path):
    rt_utils = pytest.importorskip("rt_utils", reason="rt-utils is not installed")
    # rt-utils exchanges the spacings of rows and columns, so they are equal here.
    folder = write_stack(tmp_path / "scan", SHAPE, *stack, PixelSpacing=[1.2, 1.2])
    mask = np.zeros(SHAPE, bool)
    mask[6:20, 5:14, 3:8] = mask[22:31, 16:25, 5:11] = True
    mask[10:16, 8:11, 4:6] = False
    builder = rt_utils.RTStructBuilder.create_new(dicom_series_path=str(folder))
    order = _slice_order(builder.series_data, io.read(folder).grid)
    builder.add_roi(mask[:, :, order].transpose(1, 0, 2), name="Lung")
    builder.save(str(tmp_path / "set.dcm"))
    labels = io.read_labels(tmp_path / "set.dcm")
    # Both outlines run through voxels of the mask, which are on a contour: inside.
    np.testing.assert_array_equal(labels.data == 1, mask)
    assert io.structure_names(tmp_path / "set.dcm") == {1: "Lung"}


def _slice_order(series, grid):
    """For each slice in the order of rt-utils, its number in the grid."""
    positions = np.array([header.ImagePositionPatient for header in series], float)
    return np.rint(grid.world_to_voxel(positions * [-1, -1, 1])[:, 2]).astype(int)


@pytest.mark.skipif(not shutil.which("plastimatch"), reason="plastimatch is missing")
def test_volumes_are_those_of_plastimatch(tmp_path):
    folder = write_stack(tmp_path / "scan", SHAPE, *STACKS["axial"])
    grid = io.read(folder).grid
    structures = {"Liver": ball(grid, (12.3, 9.2, 5.1), 8.7)}
    path = write_structure_set(folder / "set.dcm", structures)
    out = tmp_path / "theirs"
    words = ["plastimatch", "convert", "--input", folder, "--output-prefix", out]
    subprocess.run([*words, "--prefix-format", "nrrd"], check=True, capture_output=True)
    theirs = io.read_labels(out / "Liver.nrrd")
    ours = io.read_labels(path)
    assert theirs.grid.is_close(ours.grid)
    differing = (theirs.data != 0) != (ours.data != 0)
    assert differing.sum() <= 0.02 * (ours.data != 0).sum()


def test_of_structures_that_overlap_the_smaller_one_stays(grid, tmp_path):
    inner, outer = ball(grid, (15, 12, 6), 5.2), ball(grid, (15, 12, 6), 9.2)
    path = write_structure_set(tmp_path / "set.dcm", {"Tumor": inner, "Body": outer})
    with pytest.warns(SuspiciousInputWarning, match=r"overlap.*Tumor in Body \(\d+"):
        labels = io.read_labels(path)
    distances = distance_mm(grid, (15, 12, 6))
    assert (labels.data[distances < 5.1] == 1).all()
    assert (labels.data[(distances > 5.3) & (distances < 9.1)] == 2).all()


def test_structures_without_a_voxel_are_named(grid, tmp_path):
    structures = {"Ball": ball(grid, (15, 12, 6), 6.0), "Isocenter": []}
    path = write_structure_set(tmp_path / "set.dcm", structures)
    with pytest.warns(SuspiciousInputWarning, match=r"left out: Isocenter"):
        assert io.read_labels(path).labels == (1,)


def test_contours_on_every_second_slice_are_told(grid, tmp_path):
    contours = ball(grid, (15, 12, 6), 9.0)[::2]
    path = write_structure_set(tmp_path / "set.dcm", {"Ball": contours})
    with pytest.warns(SuspiciousInputWarning, match="on one of 2 slices"):
        io.read_labels(path)


def test_contours_of_one_slice_stay_together_whatever_their_rounding(grid, tmp_path):
    """Positions in files are rounded, so that depths differ by some hundredths."""
    islands = [circle((9, 9), 4.2, 4.2), circle((29, 20), 5.3, 5.3)]
    depths = {k: (k + 0.004, k + 0.036) for k in (4, 5, 6)}
    contours = [
        in_slice(grid, outline, depth)
        for pair in depths.values()
        for outline, depth in zip(islands, pair, strict=True)
    ]
    labels = io.read_labels(write_structure_set(tmp_path / "s.dcm", {"A": contours}))
    assert (labels.data[9, 9, list(depths)] == 1).all()
    assert (labels.data[29, 20, list(depths)] == 1).all()


def test_planes_between_the_slices_leave_none_empty(grid, tmp_path):
    contours = [
        in_slice(grid, circle((15, 12), 5, 5), k + 0.5 + noise)
        for k, noise in zip(range(3, 9), [0, 1e-4, -1e-4] * 2, strict=True)
    ]
    labels = io.read_labels(write_structure_set(tmp_path / "s.dcm", {"A": contours}))
    assert np.flatnonzero(labels.data[15, 12]).tolist() == [*range(4, 10)]


def test_of_two_planes_within_a_slice_the_nearer_one_counts(grid, tmp_path):
    outlines = {0.4: circle((9, 9), 4, 4), 0.1: circle((29, 20), 4, 4)}
    contours = [in_slice(grid, each, 6 + away) for away, each in outlines.items()]
    labels = io.read_labels(write_structure_set(tmp_path / "s.dcm", {"A": contours}))
    assert labels.data[29, 20, 6] == 1
    assert labels.data[9, 9, 6] == 0


def test_contours_across_the_slices_are_refused(grid, tmp_path):
    contours = [contour[:, [2, 0, 1]] for contour in ball(grid, (15, 12, 6), 9.0)]
    path = write_structure_set(tmp_path / "set.dcm", {"Ball": contours})
    with pytest.raises(InputError, match=r"set\.dcm.*'Ball', whose contours cross"):
        io.read_labels(path)


@pytest.mark.parametrize("place", ["scan/set.dcm", "set.dcm", "RT/set.dcm"])
def test_the_scan_is_found_beside_the_file(place, tmp_path):
    write_stack(tmp_path / "scan", SHAPE, *STACKS["axial"])
    grid = io.read(tmp_path / "scan").grid
    (tmp_path / place).parent.mkdir(exist_ok=True)
    path = write_structure_set(tmp_path / place, {"A": ball(grid, (15, 12, 6), 5.0)})
    assert io.read_labels(path).grid.is_close(grid)


@pytest.mark.parametrize("most_files", [3, 20_000])
def test_the_scan_in_its_own_folder_is_taken(most_files, tmp_path, monkeypatch):
    """Not half a copy beside it, even if only some files are looked at."""
    for name in ("a copy", "own", "z copy"):
        write_stack(tmp_path / name, SHAPE, *STACKS["axial"])
    for name in ("a copy", "z copy"):
        for slice_ in sorted((tmp_path / name).iterdir())[4:]:
            slice_.unlink()
    grid = io.read(tmp_path / "own").grid
    path = tmp_path / "own" / "set.dcm"
    write_structure_set(path, {"A": ball(grid, (15, 12, 6), 5.0)})
    monkeypatch.setattr("voltween.io.dicom_structures._MOST_FILES", most_files)
    assert io.read_labels(path).grid.is_close(grid)


def test_a_folder_that_is_closed_is_passed_over(tmp_path, monkeypatch):
    write_stack(tmp_path / "scan", SHAPE, *STACKS["axial"])
    (tmp_path / "closed").mkdir()
    look_into = Path.iterdir

    def iterdir(folder):
        if folder.name == "closed":
            raise PermissionError(13, "Permission denied", str(folder))
        return look_into(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    grid = io.read(tmp_path / "scan").grid
    path = write_structure_set(tmp_path / "s.dcm", {"A": ball(grid, (15, 12, 6), 5.0)})
    assert io.read_labels(path).labels == (1,)


def test_without_the_scan_it_is_refused(grid, tmp_path):
    path = write_structure_set(tmp_path / "s.dcm", {"A": []}, series="1.2.3")
    with pytest.raises(InputError, match=r"s\.dcm.*1\.2\.3.*no such series.*copy"):
        io.read_labels(path)


def test_it_is_no_scan(grid, tmp_path):
    path = write_structure_set(tmp_path / "set.dcm", {"A": []})
    with pytest.raises(InputError, match=r"expected a scan, got a structure set"):
        io.read(path)


def test_a_damaged_one_is_refused(grid, tmp_path):
    path = write_structure_set(tmp_path / "set.dcm", {"A": ball(grid, (15, 12, 6), 6)})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 3])
    with pytest.raises(InputError, match=r"set\.dcm"):
        io.read_labels(path)
