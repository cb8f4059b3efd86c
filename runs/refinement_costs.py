"""Processor time and Dice of refinements, of several versions of Voltween in turns.

    pip install --no-deps --target NOW .
    pip install --no-deps --target FORMER FOLDER-OF-ANOTHER-CHECKOUT
    python runs/refinement_costs.py turns DATA/brain_ixi/cases.csv --model brain \\
        --sources FORMER NOW --ways accurate none --max-pairs 6

registers every `val` pair once per version, on one thread, in one process per version
that stays. What a process imports or prepares for its first registration is not
counted. A way is "fast" or "accurate" (after the model), "none" (accurate
without a model), "MIND-SSC" (accurate, with this similarity) or "masks" (accurate, with
masks over both whole scans).
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro
from shared import Manifest, final_dice, val_pairs

from voltween.benchmarks.markdown_tables import markdown_table
from voltween.refinement import ACCURATE, ACCURATE_ALONE, FAST, Refinement
from voltween.registration import Guidance, Side, register
from voltween.spatial import Image, LabelMap

Way = Literal["fast", "accurate", "none", "MIND-SSC", "masks"]
_REFINEMENTS: dict[Way, Refinement] = {
    "fast": FAST,
    "accurate": ACCURATE,
    "none": ACCURATE_ALONE,
    "MIND-SSC": replace(ACCURATE, similarity="MIND-SSC"),
    "masks": ACCURATE,
}


@dataclass(frozen=True)
class Turns:
    """Every pair once per version: a row per pair, and a table of the means."""

    manifest: Manifest
    model: str
    """Shipped model."""
    sources: tuple[Path, ...]
    """Folders that hold the package of each version."""
    ways: tuple[Way, ...] = ("accurate", "none")
    max_pairs: int = 4

    def run(self) -> None:
        """Measure and print."""
        rows = []
        for way in self.ways:
            workers = [self._start(way, source) for source in self.sources]
            versions = zip(*(_lines(worker) for worker in workers), strict=True)
            results = [
                self._show(way, versions_of_pair) for versions_of_pair in versions
            ]
            rows += [
                (way, str(source), *_means(result))
                for source, result in zip(
                    self.sources, zip(*results, strict=True), strict=True
                )
            ]
        head = ("way", "version", "refinement", "`register`", "Dice")
        print(markdown_table(head, rows))

    def _start(self, way: Way, source: Path) -> "subprocess.Popen[str]":
        arguments = [str(self.manifest), "--model", self.model, "--way", way]
        arguments += ["--max-pairs", str(self.max_pairs)]
        paths = f"{source.resolve()}{os.pathsep}{Path(__file__).parent}"
        return subprocess.Popen(
            [sys.executable, __file__, "pairs", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        )

    def _show(self, way: Way, versions: tuple[dict[str, Any], ...]) -> Any:
        for source, row in zip(self.sources, versions, strict=True):
            print(way, source, json.dumps(row), flush=True)
        return versions


@dataclass(frozen=True)
class Pairs:
    """One version: registers the next pair for every line of the standard input."""

    manifest: Manifest
    model: str
    way: Way
    max_pairs: int = 4

    def run(self) -> None:
        """Measure and print a line of JSON per pair."""
        torch.set_num_threads(1)
        refinement = _REFINEMENTS[self.way]
        is_first = True
        for names, fixed, moving in val_pairs(self.manifest, self.max_pairs):
            if is_first:
                brief = refinement.with_steps(len(refinement.levels))
                self._register(fixed[0], moving[0], brief)
            is_first = False
            input()
            start = time.process_time()
            result = self._register(fixed[0], moving[0], refinement)
            seconds = time.process_time() - start
            row = {
                "pair": names,
                "register": seconds,
                "refinement": result.seconds["refinement"].processor,
                "dice": final_dice(result, fixed[1], moving[1]),
            }
            print(json.dumps(row), flush=True)

    def _register(self, fixed: Image, moving: Image, refinement: Refinement) -> Any:
        masks = Guidance(fixed=_whole(fixed), moving=_whole(moving))
        return register(
            fixed,
            moving,
            model=None if self.way == "none" else self.model,
            refinement=refinement,
            guidance=masks if self.way == "masks" else None,
        )


def _whole(scan: Image) -> Side:
    """A side with a mask over the whole scan."""
    return Side(mask=LabelMap(np.ones(scan.grid.shape, np.uint8), scan.grid))


def _lines(worker: "subprocess.Popen[str]") -> Iterator[dict[str, Any]]:
    """The rows of a version's process, each computed when it is asked for."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    while True:
        try:
            worker.stdin.write("\n")
            worker.stdin.flush()
        except BrokenPipeError:
            return
        line = worker.stdout.readline()
        if not line:
            return
        yield json.loads(line)


def _means(rows: tuple[dict[str, Any], ...]) -> tuple[str, ...]:
    means = [
        np.mean([row[name] for row in rows]) for name in ("refinement", "register")
    ]
    dice = np.mean([row["dice"] for row in rows])
    return (*(f"{value:.2f} s" for value in means), f"{dice:.4f}")


if __name__ == "__main__":
    tyro.cli(Turns | Pairs).run()
