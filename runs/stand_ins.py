"""Writes small stand-ins for the downloads of the paper, laid out as their authors do.

    python runs/stand_ins.py downloads

Folders lits, own, sliver07, adni, abide1, abide2, adhd200, lpba40; masks/ of the brains
of the four cohorts of heads; landmarks/ of three raters; and lists/ of the cases to
keep of cohorts whose number of cases is known. The scans are simulated: they show that
the commands of docs/paper.md work, and nothing about the quality of a method.
"""

import gzip
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import nibabel
import numpy as np
import SimpleITK as sitk
import tyro
from stand_in_anatomy import LIVER, Anatomy, brain_mask, scan_head, scan_trunk

from voltween import io
from voltween.demo.individuals import Individuality
from voltween.spatial import Image, LabelMap, Points, Volume

_AXES = ("RAS", "LPS", "PSR", "LAI", "SRA", "ILP")
_RATERS = 3
_RATER_MM = 1.0  # standard deviation of a rater's error along each axis
# Name: first seed, exponent and factor of the intensities (the scanners differ).
_HEADS = {
    "adni": (200, 1.0, 0.4),
    "abide1": (300, 0.8, 1.0),
    "abide2": (400, 1.2, 2.0),
    "adhd200": (500, 0.9, 0.25),
    "lpba40": (600, 1.0, 1.0),
}


@dataclass(frozen=True)
class StandIns:
    """Write stand-ins for the downloads of the paper."""

    out: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="OUT")]
    """Folder for the downloads."""
    spacing_mm: float = 7.0
    """Voxel size of the scans along two axes; it is 1.2 times that along the third."""
    train_scans: int = 2
    """Scans of each cohort to train with; two more in LiTS."""
    test_scans: int = 3
    """Scans of each cohort to test with; one more in LPBA40, which is left out."""

    def run(self) -> None:
        """Write all of them."""
        self._write_lits()
        self._write_own()
        self._write_sliver07()
        self._write_adni()
        self._write_indi("abide1", "NYU/005095{}/session_1/anat_1/mprage.nii.gz")
        self._write_indi("abide2", "ABIDEII-GU_1/2874{}/session_1/anat_1/anat.nii.gz")
        self._write_indi("adhd200", "KKI/101895{}/session_1/anat_1/mprage.nii.gz")
        self._write_lpba40()

    def _trunks(self, count: int, first_seed: int) -> Iterator[tuple[int, Anatomy]]:
        for number in range(count):
            character = self._character(first_seed + number)
            yield (
                number,
                scan_trunk(
                    replace(character, largest_displacement_mm=14.0, smoothness_mm=36.0)
                ),
            )

    def _heads(self, name: str, count: int) -> Iterator[tuple[int, Anatomy]]:
        first_seed, gamma, factor = _HEADS[name]
        for number in range(count):
            character = replace(
                self._character(first_seed + number),
                gamma=gamma,
                largest_displacement_mm=10.0,
            )
            anatomy = scan_head(character, stripped=name == "lpba40")
            data = np.rint(factor * anatomy.image.data)
            yield number, replace(anatomy, image=Image(data, anatomy.image.grid))

    def _character(self, seed: int) -> Individuality:
        """Storage and pose of a scan, drawn by its seed."""
        rng = np.random.default_rng(seed)
        r, a, s = rng.uniform(-5, 5, 3)
        x, y, z = rng.uniform(-30, 30, 3)
        return Individuality(
            seed=seed,
            axes=_AXES[seed % len(_AXES)],
            spacing_mm=(self.spacing_mm, self.spacing_mm, 1.2 * self.spacing_mm),
            tilt_degrees=(r, a, s),
            offset_mm=(x, y, z),
        )

    def _write_lits(self) -> None:
        count = self.train_scans + 2
        self._write_list("lits", [f"lits-{number}" for number in range(count)])
        for number, ct in self._trunks(count, 0):
            folder = self.out / "lits" / f"Training Batch {1 + number % 2}"
            _write(ct.image, folder / f"volume-{number}.nii")
            _write(ct.labels, folder / f"segmentation-{number}.nii")

    def _write_own(self) -> None:
        """Scans of a hospital: no labels, and 1024 added to the Hounsfield units."""
        for number, ct in self._trunks(self.train_scans, 50):
            path = self.out / "own" / f"patient{number + 1:02}.nii.gz"
            _write(Image(ct.image.data + 1024, ct.image.grid), path)

    def _write_sliver07(self) -> None:
        folder = self.out / "sliver07"
        names = [f"sliver07-{number + 1:03}" for number in range(self.test_scans)]
        self._write_list("sliver07", names)
        for number, ct in self._trunks(self.test_scans, 100):
            liver = LabelMap((ct.labels.data >= LIVER).astype(np.uint8), ct.labels.grid)
            name = f"{number + 1:03}"
            _write_mhd(ct.image, folder / "scan" / f"liver-orig{name}.mhd")
            _write_mhd(liver, folder / "label" / f"liver-seg{name}.mhd")
            self._write_landmarks(ct.landmarks, "sliver07", f"sliver07-{name}")

    def _write_adni(self) -> None:
        for number, head in self._heads("adni", self.train_scans):
            person, scan = f"00{number}_S_0413", f"I1389{number}"
            folder = self.out / "adni" / "ADNI" / person / "MPRAGE"
            folder = folder / "2006-05-02_12_31_52.0" / scan
            self._write_mask(head, "adni", f"{person}-{scan}")
            _write(head.image, folder / f"ADNI_{person}_MR_MPRAGE_{scan}.nii")

    def _write_indi(self, cohort: str, place: str) -> None:
        for number, head in self._heads(cohort, self.train_scans):
            path = Path(place.format(number))
            self._write_mask(head, cohort, path.parts[1])
            _write(head.image, self.out / cohort / path)

    def _write_lpba40(self) -> None:
        """One more case than is kept, as the paper leaves out tilted heads."""
        names = [f"S{number + 1:02}" for number in range(self.test_scans + 1)]
        for number, head in self._heads("lpba40", len(names)):
            name = names[number]
            folder = self.out / "lpba40" / "delineation_space" / name
            for volume, kind in (
                (head.image, "skullstripped"),
                (head.labels, "structure.label"),
            ):
                _write_analyze(volume, folder / f"{name}.delineation.{kind}")
            # Analyze records no place: the middle of the scan is read at 0 mm.
            landmarks = Points(
                head.landmarks.mm - head.image.grid.center_mm, head.landmarks.names
            )
            self._write_landmarks(landmarks, "lpba40", name)
        self._write_list("lpba40", names[:-1])

    def _write_list(self, cohort: str, names: Sequence[str]) -> None:
        """The cases to keep, for `voltween prepare --only`."""
        path = self.out / "lists" / f"{cohort}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(names) + "\n")

    def _write_mask(self, head: Anatomy, cohort: str, case: str) -> None:
        mask = brain_mask(head.labels)
        _write(mask, self.out / "masks" / cohort / f"{case}.nii.gz")

    def _write_landmarks(self, true: Points, cohort: str, case: str) -> None:
        """The landmarks as several raters place them, one file per rater."""
        for rater in range(_RATERS):
            rng = np.random.default_rng([rater, sum(map(ord, case))])
            placed = true.mm + rng.normal(0, _RATER_MM, true.mm.shape)
            folder = self.out / "landmarks" / cohort / f"rater{rater + 1}"
            _write(Points(placed, true.names), folder / f"{case}.csv")


def _write(content: Volume | Points, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    io.write(content, path)


def _write_mhd(volume: Volume, path: Path) -> None:
    """A MetaImage in two files, .mhd and .raw."""
    one_file = path.with_suffix(".mha")
    _write(volume, one_file)
    sitk.WriteImage(sitk.ReadImage(str(one_file)), str(path))
    one_file.unlink()


def _write_analyze(volume: Volume, path: Path) -> None:
    """Analyze 7.5, .hdr and .img.gz, which keeps neither place nor directions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.AnalyzeImage(volume.data.astype(np.int16)[..., None], None)
    image.header.set_zooms((*volume.grid.spacing_mm, 1.0))
    plain = path.with_name(f"{path.name}.img")
    nibabel.save(image, plain)
    with plain.open("rb") as file, gzip.open(f"{plain}.gz", "wb") as packed:
        shutil.copyfileobj(file, packed)
    plain.unlink()


if __name__ == "__main__":
    tyro.cli(StandIns).run()
