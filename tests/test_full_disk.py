"""Commands on a full disk: one line, nothing half written, and all goes on with space.

The disk is a small file system in memory, which only root can mount (Linux).
"""

import subprocess

import numpy as np
import pytest

from support.commands import run_here
from support.dicom import AXIAL, write_stack
from support.downloads import adhd200
from support.kills import Compare, Register, Train, prepare_inputs
from voltween import io
from voltween.errors import OutputError
from voltween.spatial import DisplacementField, Grid, Image
from voltween.storage.workspaces import PREFIX

FULL, LARGE = "4k", "64m"


@pytest.fixture(name="disk")
def disk_fixture(tmp_path):
    """A disk with room for one page."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = mount(path, f"size={FULL}")
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)  # files are open


def mount(path, options):
    command = ["mount", "-t", "tmpfs", "-o", options, "voltween-test", str(path)]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:  # not Linux
        return subprocess.CompletedProcess(command, 1, "", str(error))


@pytest.fixture(scope="module", name="inputs")
def inputs_fixture(tmp_path_factory):
    inputs = prepare_inputs(tmp_path_factory.mktemp("inputs"))
    adhd200(inputs / "adhd200")
    run_here(*Register(inputs).words(inputs / "result"))
    return inputs


def words_of(command, inputs, disk):
    """The words of a command that writes to the disk."""
    if command == "apply":
        transform = inputs / "result" / "fixed_to_moving.h5"
        scan, onto = inputs / "moving.nrrd", inputs / "fixed.nii.gz"
        return [
            "apply",
            transform,
            scan,
            "--onto",
            onto,
            "--out",
            disk / "moved.nii.gz",
        ]
    if command == "prepare":
        return ["prepare", "adhd200", inputs / "adhd200", "--out", disk / "out"]
    kind = {"register": Register, "train": Train, "compare": Compare}[command]
    return kind(inputs).words(disk / "out")


@pytest.mark.filterwarnings("ignore::voltween.errors.SuspiciousInputWarning")
def surface(path):
    """Writes a sphere, of which every format needs more than the disk has."""
    pyvista = pytest.importorskip("pyvista", reason="PyVista is not installed")
    pyvista.Sphere(theta_resolution=60, phi_resolution=60).save(path)
    return path


@pytest.mark.parametrize("suffix", [".stl", ".vtk", ".vtp", ".ply"])
@pytest.mark.filterwarnings("ignore::voltween.errors.AssumptionWarning")
def test_a_surface_is_whole_or_not_there(suffix, disk, tmp_path):
    source = surface(tmp_path / f"ball{suffix}")
    with pytest.raises(OutputError, match=rf"disk/ball{suffix}: .*free space"):
        io.move_surface(source, disk / source.name, lambda positions: positions)
    assert list(disk.iterdir()) == []


def test_an_ome_zarr_folder_is_whole_or_not_there(disk):
    pytest.importorskip("ngff_zarr", reason="ngff-zarr is not installed")
    grid = Grid((30, 30, 30), np.eye(4))
    noise = np.random.default_rng(0).normal(size=grid.shape)
    with pytest.raises(OutputError, match=r"disk/a\.ome\.zarr: .*[Nn]o space left"):
        io.write(Image(noise, grid), disk / "a.ome.zarr")
    assert list(disk.iterdir()) == []


def test_a_dicom_registration_is_whole_or_not_there(disk, tmp_path):
    scan = write_stack(tmp_path / "scan", (12, 11, 10), AXIAL, (0.0, 0.0, 0.0))
    grid = io.read(scan).grid
    field = DisplacementField(grid, np.ones((*grid.shape, 3)))
    with pytest.raises(OutputError, match=r"disk/a\.dcm: .*No space left") as caught:
        io.write_dicom_registration(field, disk / "a.dcm", fixed=scan, moving=scan)
    assert "\n" not in str(caught.value)
    assert list(disk.iterdir()) == []


@pytest.mark.parametrize(
    "command", ["register", "apply", "train", "compare", "prepare"]
)
def test_a_full_disk_is_one_line_and_space_mends_it(command, inputs, disk, capfd):
    words = words_of(command, inputs, disk)
    capfd.readouterr()
    assert run_here(*words) == 2
    said = capfd.readouterr().err.replace("\r", "\n").splitlines()
    lines = [line for line in said if "warning" not in line and "resuming" not in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"voltween: {disk}")
    assert not list(disk.rglob(f"{PREFIX}*"))
    assert mount(disk, f"remount,size={LARGE}").returncode == 0
    assert run_here(*words) == 0
