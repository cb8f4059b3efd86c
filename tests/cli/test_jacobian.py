"""`voltween jacobian`, and `--jacobian` of `voltween register`."""

import numpy as np
import pytest

from support.commands import register, write_pair
from support.scans import FIXED, smooth_spline
from voltween import io
from voltween.cli import main
from voltween.spatial import (
    Affine,
    DisplacementField,
    MultichannelImage,
    jacobian_determinant,
)

STRETCH = Affine(np.diag([2.0, 1.0, 1.0, 1.0]))


@pytest.fixture(name="folder")
def folder_fixture(tmp_path):
    """A folder with a fixed scan and a transform."""
    io.write(FIXED, tmp_path / "fixed.nii.gz")
    io.write(STRETCH @ smooth_spline(FIXED.grid), tmp_path / "t.h5")
    return tmp_path


def run(folder, *options, transform="t.h5"):
    """Runs the command and returns the map it writes."""
    onto, out = str(folder / "fixed.nii.gz"), str(folder / "j.nii.gz")
    transform = str(folder / transform)
    main(["jacobian", transform, "--onto", onto, "--out", out, *options])
    return io.read(folder / "j.nii.gz")


def test_map_is_that_of_the_library_on_the_fixed_grid(folder, capsys):
    change = run(folder)
    expected = jacobian_determinant(io.read_transform(folder / "t.h5"), onto=FIXED.grid)
    np.testing.assert_allclose(change.data, expected.data, atol=1e-4)
    assert change.grid.is_close(FIXED.grid)
    assert "Jacobian determinant, mean" in capsys.readouterr().out


def test_the_grid_may_be_that_of_a_series(folder):
    data = np.stack([FIXED.data, FIXED.data], axis=-1)
    expected = run(folder)
    series = MultichannelImage(data, FIXED.grid, "series")
    io.write(series, folder / "fixed.nii.gz")
    assert np.array_equal(run(folder).data, expected.data)


def test_logarithm_without_the_affine_part(folder):
    whole, alone = run(folder), run(folder, "--log", "--without-affine")
    np.testing.assert_allclose(alone.data, np.log(whole.data / 2), atol=1e-4)


def test_a_displacement_field_image_is_read_too(folder):
    field = (STRETCH @ smooth_spline(FIXED.grid)).to_field(FIXED.grid)
    io.write(field, folder / "field.nii.gz")
    np.testing.assert_allclose(
        run(folder, transform="field.nii.gz").data, run(folder).data, atol=1e-3
    )


def test_logarithm_of_folds_is_refused_in_one_line(folder, capsys):
    vectors = np.zeros((*FIXED.grid.shape, 3))
    vectors[9, 8, 7] = FIXED.grid.affine[:3, 0] * 3
    io.write(DisplacementField(FIXED.grid, vectors), folder / "folds.nii.gz")
    with pytest.raises(SystemExit) as exit_code:
        run(folder, "--log", transform="folds.nii.gz")
    assert exit_code.value.code == 2
    assert "voxels that fold" in capsys.readouterr().err
    assert not (folder / "j.nii.gz").exists()


@pytest.mark.filterwarnings("ignore::voltween.errors.InverseWarning")
def test_register_writes_the_map_when_asked(tmp_path):
    folder = write_pair(tmp_path)
    out = register(folder)
    assert not (out / "jacobian.nii.gz").exists()
    files = (str(folder / name) for name in ("fixed.nii.gz", "moving.nrrd"))
    model, again = str(folder / "tiny.safetensors"), str(folder / "again")
    main(["register", *files, "--model", model, "--out", again, "--jacobian"])
    written = io.read(folder / "again" / "jacobian.nii.gz")
    transform = io.read_transform(folder / "again" / "fixed_to_moving.h5")
    expected = jacobian_determinant(transform, onto=FIXED.grid)
    np.testing.assert_allclose(written.data, expected.data, atol=1e-3)
