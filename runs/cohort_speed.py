"""Measures pairs per minute: `voltween register` in a loop, and `voltween cohort`.

    python runs/cohort_speed.py MANIFEST DIR [--pairs 60] [--model hippocampus]

Takes ordered pairs of the `val` cases of a manifest. The loop starts a process per
pair, as a shell script does; the cohort runs in one process, and with two workers. All
three use one thread per process and write the same files, which are compared. Prints a
table in Markdown.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import tyro
from tyro.conf import Positional

from voltween.cohorts import Case, draw_pairs, ordered_pairs, read_manifest

COMPARED = ("fixed_to_moving.h5", "moving_to_fixed.h5", "moved.nii.gz")


@dataclass(frozen=True)
class Speed:
    """Register the same pairs in three ways."""

    manifest: Positional[Path]
    """CSV of cases, of which those of `val` are paired."""
    out: Positional[Path]
    """New folder for the results."""
    pairs: int = 60
    model: str = "hippocampus"

    def run(self) -> None:
        """Measure, compare, print."""
        cases = [c for c in read_manifest(self.manifest) if c.split == "val"]
        by_name = {case.name: case for case in cases}
        chosen = draw_pairs(ordered_pairs([*by_name]), self.pairs)
        pairs = [(by_name[fixed], by_name[moving]) for fixed, moving in chosen]
        self.out.mkdir(parents=True)
        listed = self._write_list(pairs)
        rows = {"`register` in a loop": self._loop(pairs)}
        for workers in (1, 2):
            out = self.out / f"workers{workers}"
            began = time.monotonic()
            voltween(
                *("cohort", listed, "--model", self.model),
                *("--out", out, "--workers", workers),
            )
            title = f"`cohort --workers {workers}`"
            rows[title] = time.monotonic() - began
        self._check_files(pairs)
        print("\n| command | seconds | pairs per minute |\n|---|---|---|")
        for title, seconds in rows.items():
            rate = 60 * len(pairs) / seconds
            print(f"| {title} | {seconds:.1f} | {rate:.1f} |")

    def _write_list(self, pairs: list[tuple[Case, Case]]) -> Path:
        listed = self.out / "pairs.csv"
        lines = [f"{f.image.absolute()},{m.image.absolute()}" for f, m in pairs]
        listed.write_text("\n".join(["fixed,moving", *lines]))
        return listed

    def _loop(self, pairs: list[tuple[Case, Case]]) -> float:
        began = time.monotonic()
        for fixed, moving in pairs:
            voltween(
                *("register", fixed.image, moving.image, "--model", self.model),
                *("--out", self.out / "loop" / f"{moving.name}_to_{fixed.name}"),
            )
        return time.monotonic() - began

    def _check_files(self, pairs: list[tuple[Case, Case]]) -> None:
        """Ends with 1 if the three ways have not made the same files."""
        folders = [self.out / f"workers{n}" / "cases" for n in (1, 2)]
        for fixed, moving in pairs:
            name = f"{moving.name}_to_{fixed.name}"
            stems = f"{_stem(moving)}_to_{_stem(fixed)}"
            for file in COMPARED:
                one = (self.out / "loop" / name / file).read_bytes()
                if any((f / stems / file).read_bytes() != one for f in folders):
                    sys.exit(f"{name}: {file} differs")
        print(f"{', '.join(COMPARED)} of all pairs are the same bytes in all three.")


def _stem(case: Case) -> str:
    return case.image.name.removesuffix(".nii.gz")


def voltween(*words: object) -> None:
    """Runs a command in a process of one thread; its output is dropped."""
    subprocess.run(
        [sys.executable, "-m", "voltween", *map(str, words)],
        check=True,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


if __name__ == "__main__":
    tyro.cli(Speed).run()
