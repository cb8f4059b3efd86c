"""Surfaces: vertices are moved, and the rest of a file stays."""

import nibabel
import numpy as np
import pytest

from support.scans import FIXED, TO_MOVING, random_points_mm
from voltween import io
from voltween.errors import AssumptionWarning, InputError, SuspiciousInputWarning

pyvista = pytest.importorskip("pyvista", reason="PyVista is not installed")
VERTICES = random_points_mm(FIXED.grid, 12).astype(np.float32)
TRIANGLES = np.arange(12, dtype=np.int32).reshape(4, 3)
LPS = np.float32([-1, -1, 1])


def gifti(path, **meta):
    points = nibabel.gifti.GiftiDataArray(
        VERTICES, intent="NIFTI_INTENT_POINTSET", meta=meta or None
    )
    faces = nibabel.gifti.GiftiDataArray(TRIANGLES, intent="NIFTI_INTENT_TRIANGLE")
    nibabel.save(nibabel.gifti.GiftiImage(darrays=[points, faces]), path)
    return path


def mesh(path, frame=""):
    """A surface in LPS, whose header states its frame, or not."""
    faces = np.insert(TRIANGLES, 0, 3, axis=1)
    surface = pyvista.PolyData(VERTICES * LPS, faces)
    surface.point_data["thickness"] = np.arange(12.0)
    surface.save(path, binary=False)
    if frame:
        text = path.read_text()
        for old in ("vtk output", "solid ascii", "Visualization Toolkit generated"):
            text = text.replace(old, f"Slicer. SPACE={frame}", 1)
        path.write_text(text)
    return path


def test_gifti_vertices_are_moved_and_the_rest_stays(tmp_path):
    source, target = gifti(tmp_path / "a.surf.gii"), tmp_path / "b.surf.gii"
    assert io.move_surface(source, target, TO_MOVING.map_positions) == 12
    points, faces = nibabel.load(target).agg_data()
    expected = TO_MOVING.map_positions(VERTICES.astype(float))
    np.testing.assert_allclose(points, expected, atol=1e-4)
    np.testing.assert_array_equal(faces, TRIANGLES)


def test_gifti_of_freesurfers_frame_gets_a_warning(tmp_path):
    source = gifti(tmp_path / "a.gii", VolGeomC_R="5.0", VolGeomC_A="0", VolGeomC_S="0")
    with pytest.warns(SuspiciousInputWarning, match="mris_convert --to-scanner"):
        io.move_surface(source, tmp_path / "b.gii", TO_MOVING.map_positions)


@pytest.mark.parametrize("suffix", [".vtk", ".vtp", ".ply", ".stl"])
def test_mesh_is_moved_in_lps_as_slicer_has_it(suffix, tmp_path):
    source, target = mesh(tmp_path / f"a{suffix}"), tmp_path / f"b{suffix}"
    with pytest.warns(AssumptionWarning, match="taken to be LPS"):
        io.move_surface(source, target, TO_MOVING.map_positions)
    moved = pyvista.read(target)
    expected = TO_MOVING.map_positions(VERTICES.astype(float)) * LPS
    distances = np.linalg.norm(moved.points[:, None] - expected, axis=2)
    assert distances.min(axis=0).max() < 1e-3  # STL joins and sorts its vertices
    if suffix in (".vtk", ".vtp"):
        np.testing.assert_array_equal(moved.point_data["thickness"], np.arange(12.0))


def test_frame_in_the_header_of_vtk_is_heeded_and_kept(tmp_path):
    source = mesh(tmp_path / "a.vtk", "RAS")
    moved = tmp_path / "b.vtk"
    io.move_surface(source, moved, TO_MOVING.map_positions)
    expected = TO_MOVING.map_positions((VERTICES * LPS).astype(float))
    np.testing.assert_allclose(pyvista.read(moved).points, expected, atol=1e-3)
    assert b"SPACE=RAS" in moved.read_bytes()[:300]
    with pytest.raises(InputError, match="the frame that the file states, RAS"):
        io.move_surface(source, moved, TO_MOVING.map_positions, frame="LPS")


@pytest.mark.parametrize("name", ["a.gii", "a.stl", "a.vtk", "a.vtp", "a.ply"])
@pytest.mark.filterwarnings("ignore")
def test_anything_else_is_refused(name, tmp_path):
    (tmp_path / name).write_text("no surface")
    with pytest.raises(
        InputError, match=r"expected a surface|expected a GIFTI surface"
    ):
        io.move_surface(tmp_path / name, tmp_path / f"b{name}", TO_MOVING.map_positions)
