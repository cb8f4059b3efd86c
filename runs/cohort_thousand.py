"""Registers a cohort of a thousand small synthetic cases, of which 20 are broken.

    python runs/cohort_thousand.py DIR [--cases 1000] [--broken 20] [--workers 1]

Writes the cases to DIR/scans, runs `voltween cohort` twice, and checks that all whole
cases are done, that every broken one is listed with its line, and that the second run
does nothing. Broken are: missing, truncated, empty, constant, NaN, 2D, sizes in the
header that the voxels do not fill, spacings of another unit, and another organ. The
last two can be registered: their verdict has to say so. Exits with 1 if a check fails.
"""

import csv
import gzip
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import tyro
from scipy.ndimage import gaussian_filter
from tyro.conf import Positional

SHAPE = (24, 24, 24)
SPACING_MM = 2.0
CHEAP = ("--model", "none", "--refine", "4", "--outputs", "moved,transform")


def blob(seed: int) -> np.ndarray:
    """A bright ellipsoid with two cores; place, shape and texture by the seed."""
    rng = np.random.default_rng(seed)
    position = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    offset = (position - np.array(SHAPE) / 2 - rng.uniform(-2, 2, 3)) / (8, 6, 7)
    offset = offset / rng.uniform(0.9, 1.1, 3)
    data = 400.0 * (np.linalg.norm(offset, axis=-1) < 1)
    for core in ((0.4, 0.1, 0.0), (-0.3, 0.2, 0.3)):
        data += 300 * (np.linalg.norm(offset - core, axis=-1) < 0.35)
    return gaussian_filter(data, 0.8) + rng.uniform(0, 10, SHAPE)


def write(path: Path, data: np.ndarray, spacing_mm: float = SPACING_MM) -> None:
    affine = np.diag([spacing_mm] * 3 + [1.0])
    nibabel.save(nibabel.Nifti1Image(data.astype(np.float32), affine), path)


def truncate(path: Path, seed: int) -> None:
    write(path, blob(seed))
    path.write_bytes(path.read_bytes()[:-1000])


def write_with_nan(path: Path, seed: int) -> None:
    data = blob(seed)
    data[5, 5, 5] = np.nan
    write(path, data)


def write_wrong_sizes(path: Path, seed: int) -> None:
    write(path, blob(seed))
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[42:44] = (200).to_bytes(2, "little")  # voxels along the first axis
    path.write_bytes(gzip.compress(bytes(content)))


def write_other_organ(path: Path, seed: int) -> None:
    noise = np.random.default_rng(seed).standard_normal(SHAPE)
    write(path, 1000 * gaussian_filter(noise, 1.5) + 100)


BROKEN = {
    "missing": lambda path, seed: None,
    "truncated": truncate,
    "empty": lambda path, seed: path.touch(),
    "constant": lambda path, seed: write(path, np.full(SHAPE, 7.0)),
    "nan": write_with_nan,
    "flat": lambda path, seed: write(path, blob(seed)[:, :, 12]),
    "sizes": write_wrong_sizes,
    "spacing": lambda path, seed: write(path, blob(seed), 10 * SPACING_MM),
    "organ": write_other_organ,
}
REGISTERED = ("spacing", "organ")  # whole files: the verdict has to find them


@dataclass(frozen=True)
class Thousand:
    """Write the cohort, register it, check what is said of it."""

    folder: Positional[Path]
    """Folder for scans and results."""
    cases: int = 1000
    broken: int = 20
    workers: int = 1

    def run(self) -> None:
        """Write, register twice, check."""
        kinds = self._write_scans(self.folder / "scans")
        seconds, code = self._register()
        faults = list(self._faults(kinds, code))
        before = self._times()
        again, _ = self._register()
        if self._times() != before:
            faults.append("the second run wrote results")
        rate = (self.cases - self.broken) / seconds * 60
        print(
            f"{self.cases} cases, {self.broken} broken: {seconds:.0f} s, "
            f"{rate:.0f} pairs per minute with {self.workers} workers; "
            f"the same command again: {again:.1f} s"
        )
        page = self.folder / "out" / "index.html"
        print(f"index.html: {page.stat().st_size / 1e6:.2f} MB")
        print("\n".join(faults) or "All whole cases are done, all broken ones listed.")
        sys.exit(1 if faults else 0)

    def _write_scans(self, folder: Path) -> dict[str, str]:
        """Writes scans and manifest; the kind of every case, empty for whole ones."""
        folder.mkdir(parents=True, exist_ok=True)
        places = np.linspace(0, self.cases - 1, self.broken).astype(int)
        names = [*BROKEN]
        kinds = {f"case{n:04d}": "" for n in range(self.cases)}
        for number, place in enumerate(places):
            kinds[f"case{place:04d}"] = names[number % len(names)]
        write(folder / "atlas.nii.gz", blob(10**6))
        for seed, (name, kind) in enumerate(kinds.items()):
            path = folder / f"{name}.nii.gz"
            if kind:
                BROKEN[kind](path, seed)
            else:
                write(path, blob(seed))
        lines = [f"{name},{name}.nii.gz,test" for name in kinds]
        (folder / "cases.csv").write_text("\n".join(["case,image,split", *lines]))
        return kinds

    def _register(self) -> tuple[float, int]:
        """Seconds and exit code of the command."""
        scans = self.folder / "scans"
        words = ["cohort", scans / "cases.csv", "--fixed", scans / "atlas.nii.gz"]
        words += [*CHEAP, "--out", self.folder / "out", "--workers", self.workers]
        began = time.monotonic()
        code = subprocess.run(
            [sys.executable, "-m", "voltween", *map(str, words)], check=False
        ).returncode
        return time.monotonic() - began, code

    def _faults(self, kinds: dict[str, str], code: int) -> list[str]:
        """Returns the errors of the tables about the cases."""
        with (self.folder / "out" / "pairs.csv").open(newline="") as file:
            rows = {row["name"]: row for row in csv.DictReader(file)}
        summary = (self.folder / "out" / "summary.md").read_text("utf-8")
        verdicts = Counter(r["verdict"] for n, r in rows.items() if not kinds[n])
        print(f"verdicts of whole cases: {dict(verdicts)}")
        faults = [] if code == 1 else [f"exit code {code}, expected 1"]
        for name, kind in kinds.items():
            row = rows[name]
            if not kind or kind in REGISTERED:
                if row["state"] != "done":
                    faults.append(f"{name} ({kind or 'whole'}): {row['error']}")
            elif row["state"] != "failed" or not row["error"]:
                faults.append(f"{name} ({kind}): not listed as failed")
            if kind in REGISTERED and row["verdict"] == "good":
                faults.append(f"{name} ({kind}): its verdict is good")
            if kind and f"- {name}: " not in summary:
                faults.append(f"{name} ({kind}): not in summary.md")
            if kind:
                line = row["error"] or f"verdict {row['verdict']}: {row['reasons']}"
                print(f"{name} ({kind}): {line}")
        return faults

    def _times(self) -> dict[Path, int]:
        cases = (self.folder / "out" / "cases").rglob("*")
        return {path: path.stat().st_mtime_ns for path in cases}


if __name__ == "__main__":
    tyro.cli(Thousand).run()
