"""Registers phantom scans of any size: seconds and peak memory of every part.

    python runs/large_scans.py 512 512 400
    python runs/large_scans.py 640 640 640 --out sizes

The fixed scan has smooth structures and noise; the moving scan shows the same body,
bent by a few millimeters. Both are written to the folder as uncompressed NIfTI, in
slabs. A child process then runs the whole registration without a model, writes every
output, and prints one line per part: wall and processor seconds, peak memory, and
that memory in bytes per voxel. The line `disk` is the time that writing and reading as
many bytes takes without any work, for comparison.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import nibabel
import numpy as np

from voltween.process import held_bytes, measuring

_SPACING_MM = (0.7, 0.7, 1.0)
_SLAB_PLANES = 16
_BLOBS = 40
_OUTPUTS = ("moved", "transform", "field", "inverse", "overview", "jacobian")


def main() -> None:
    """Makes the scans and measures their registration in a child process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shape", type=int, nargs=3, metavar="N", help="voxels")
    parser.add_argument("--out", type=Path, default=Path("large-scans"))
    parser.add_argument("--bend-mm", type=float, default=4.0)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        _register(arguments.out)
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    shape = tuple(arguments.shape)
    write_phantom(arguments.out / "fixed.nii", shape, bend_mm=0.0)
    write_phantom(arguments.out / "moving.nii", shape, bend_mm=arguments.bend_mm)
    subprocess.run([sys.executable, *sys.argv, "--child"], check=True)


def write_phantom(path: Path, shape: tuple[int, int, int], *, bend_mm: float) -> None:
    """Writes a phantom scan slab by slab, as float32."""
    affine = np.diag([*_SPACING_MM, 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    header = nibabel.Nifti1Header()
    header.set_data_shape(shape)
    header.set_data_dtype(np.float32)
    header.set_sform(affine, code=1)
    header.set_qform(affine, code=1)
    header.set_xyzt_units("mm")
    header["vox_offset"], header["magic"] = 352, b"n+1"
    noise = np.random.default_rng(round(bend_mm * 10))
    with path.open("wb") as file:
        file.write(header.binaryblock + bytes(4))
        for first in range(0, shape[2], _SLAB_PLANES):
            planes = np.arange(first, min(first + _SLAB_PLANES, shape[2]))
            slab = _phantom(shape, planes, bend_mm)
            slab += 8 * noise.standard_normal(slab.shape, np.float32)
            file.write(slab.astype(np.float32).tobytes())


def _phantom(
    shape: tuple[int, int, int], planes: np.ndarray, bend_mm: float
) -> np.ndarray:
    """Intensities of some planes, in the order of a NIfTI file (k, j, i)."""
    half_mm = np.array(shape) * _SPACING_MM / 2
    k, j, i = np.meshgrid(
        planes, np.arange(shape[1]), np.arange(shape[0]), indexing="ij", sparse=True
    )
    x, y, z = (
        (index - (size - 1) / 2).astype(np.float32) * np.float32(mm)
        for index, size, mm in zip((i, j, k), shape, _SPACING_MM, strict=True)
    )
    waves = [np.float32(np.pi / side) for side in half_mm]
    bent_x = x + np.float32(bend_mm) * np.sin(y * waves[1])
    bent_y = y + np.float32(bend_mm) * np.sin(x * waves[0] + 1)
    # Not out of the few slices of a thin scan.
    rise_mm = min(bend_mm / 2, half_mm[2] / 50)
    bent_z = z + np.float32(rise_mm) * np.sin(y * waves[1] + 2)
    blobs = np.random.default_rng(0)
    body = (bent_x / half_mm[0]) ** 2 + (bent_y / half_mm[1]) ** 2
    body = body + (bent_z / half_mm[2]) ** 2 * np.float32(0.5)
    result = np.where(body < 0.7, np.float32(300), np.float32(0))
    for _ in range(_BLOBS):
        center = blobs.uniform(-0.5, 0.5, 3) * half_mm
        radius, height = blobs.uniform(0.08, 0.2) * half_mm.max(), blobs.uniform(-1, 1)
        # The exponential of a sum is a product, here of two small arrays.
        across = (bent_x - center[0]) ** 2 + (bent_y - center[1]) ** 2
        in_plane = (200 * height * np.exp(-across / radius**2)).astype(np.float32)
        along = np.exp(-((bent_z - center[2]) ** 2) / radius**2).astype(np.float32)
        result += in_plane * along
    return result


def _register(folder: Path) -> None:
    """Registers and writes, and prints what every part took."""
    from voltween import io
    from voltween.registration import register, write_registration

    with measuring() as used:
        fixed, moving = io.read(folder / "fixed.nii"), io.read(folder / "moving.nii")
    voxels = fixed.data.size
    _print("reading", used, voxels)
    with measuring() as used:
        registration = register(fixed, moving, model=None)
    _print("registering", used, voxels)
    with measuring() as used:
        figures = write_registration(registration, folder / "result", outputs=_OUTPUTS)
    _print("writing", used, voxels)
    _print_parts(figures["seconds"])
    print("verdict", figures["verdict"]["grade"], figures["correlation"])
    start = time.perf_counter()
    _copy(folder)
    print(f"disk: {time.perf_counter() - start:.1f} s")


def _print(part: str, used: object, voxels: int) -> None:
    peak, held = used.peak_bytes or 0, held_bytes() or 0
    print(
        f"{part}: {used.seconds:.1f} s wall, {used.processor_seconds:.1f} s processor, "
        f"peak {peak / 1e9:.2f} GB ({peak / voxels:.1f} bytes per voxel), held then "
        f"{held / 1e9:.2f} GB ({held / voxels:.1f})",
        flush=True,
    )


def _print_parts(seconds: dict[str, dict[str, float]]) -> None:
    for name, wall in seconds["wall"].items():
        print(f"  {name}: {wall:.1f} s wall, {seconds['processor'][name]:.1f} s cpu")


def _copy(folder: Path) -> None:
    """Reads the scans and writes as many bytes as the result has."""
    pieces = [path for path in folder.rglob("*") if path.is_file()]
    target = folder / "copy"
    with target.open("wb") as file:
        for path in pieces:
            with path.open("rb") as source:
                while data := source.read(2**24):
                    file.write(data)
    target.unlink()


if __name__ == "__main__":
    main()
