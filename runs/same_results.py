"""Compares the registrations of two versions of the package, bit by bit.

Registers four pairs of each real data set with the package that is installed in this
interpreter, and keeps transforms, moved images and quality figures in a folder. Run it
with each version, then compare the folders:

    PYTHONPATH=OLD/src python runs/same_results.py run DATA before
    PYTHONPATH=NEW/src python runs/same_results.py run DATA after
    PYTHONPATH=NEW/src python runs/same_results.py compare before after

`compare` also reads every file of the one version with the other when it is run with
each of the two versions. It exits with 1 if anything differs.
"""

import csv
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from tyro.conf import Positional

import voltween as vt

# Data set: model, and the instance optimizations to run beside the network alone.
MODELS = {
    "hippocampus": ("hippocampus", ("fast",)),
    "brain_ixi": ("brain", ()),
    "headneck_ct": ("headneck", ()),
    "mouse_brain": ("none", ("fast",)),
}
REFINEMENTS = {"fast": vt.FAST, "accurate": vt.ACCURATE}
FILES = ("fixed_to_moving.h5", "moving_to_fixed.h5", "moved.nii.gz")


@dataclass(frozen=True)
class Run:
    """Register pairs of every data set and keep the results."""

    data: Positional[Path]
    """Folder with one folder per data set, each with a cases.csv."""
    out: Positional[Path]
    """Folder for the results."""
    pairs: int = 4
    """Pairs per data set."""

    def run(self) -> None:
        """Register and keep."""
        for name, (model, refinements) in MODELS.items():
            for fixed, moving in self._pairs(name):
                for refinement in (None, *refinements):
                    if model != "none" or refinement:
                        self._register(name, fixed, moving, model, refinement)

    def _pairs(self, name: str) -> list[tuple[Path, Path]]:
        folder = self.data / name
        with (folder / "cases.csv").open() as file:
            images = [folder / row["image"] for row in csv.DictReader(file)]
        return [(images[n], images[n + 1]) for n in range(self.pairs)]

    def _register(
        self, name: str, fixed: Path, moving: Path, model: str, refinement: str | None
    ) -> None:
        out = self.out / name / f"{_stem(fixed)}--{_stem(moving)}-{refinement}"
        if model == "none":
            network, settings = None, vt.FAST_ALONE
        else:
            network = vt.load_model(model)
            settings = REFINEMENTS[refinement] if refinement else None
        result = vt.register(
            vt.read(fixed), vt.read(moving), model=network, refinement=settings
        )
        out.mkdir(parents=True, exist_ok=True)
        vt.write(result.fixed_to_moving, out / FILES[0])
        vt.write(result.moving_to_fixed, out / FILES[1])
        vt.write(result.moved, out / FILES[2])
        facts = {"correlation": result.correlation, "folding": result.folding_percent}
        facts["arrays"] = _digests(result)
        (out / "facts.json").write_text(json.dumps(facts, indent=1))
        print(out, facts["correlation"])


@dataclass(frozen=True)
class Compare:
    """Compare two folders of results, and read the files of both."""

    first: Positional[Path]
    second: Positional[Path]

    def run(self) -> None:
        """Compare all facts and all files."""
        folders = sorted(p.parent for p in self.first.rglob("facts.json"))
        others = sorted(p.parent for p in self.second.rglob("facts.json"))
        names = [str(f.relative_to(self.first)) for f in folders]
        if names != [str(f.relative_to(self.second)) for f in others]:
            sys.exit(f"{self.second}: expected the registrations of {self.first}")
        differing = [n for n in names if not self._is_same(n)]
        print(f"{len(names)} registrations compared, {len(differing)} differ")
        print("\n".join(differing))
        sys.exit(bool(differing))

    def _is_same(self, name: str) -> bool:
        one, other = self.first / name, self.second / name
        facts = [
            json.loads((f / "facts.json").read_text("utf-8")) for f in (one, other)
        ]
        return facts[0] == facts[1] and all(
            np.array_equal(a, b)
            for file in FILES
            for a, b in zip(_arrays(one / file), _arrays(other / file), strict=True)
        )


def _stem(path: Path) -> str:
    return path.name.split(".")[0]


def _arrays(path: Path) -> list[np.ndarray]:
    """All numbers of a written file, as the package reads them."""
    if path.name.endswith(".nii.gz"):
        image = vt.read(path)
        return [image.data, image.grid.affine]
    return _parts(vt.read_transform(path))


def _parts(transform: vt.Transform) -> list[np.ndarray]:
    arrays = []
    for part in transform.parts():
        if isinstance(part, vt.Affine):
            arrays.append(part.matrix)
        else:
            arrays += [part.vectors_mm, part.grid.affine]
    return arrays


def _digests(result: vt.Registration) -> list[str]:
    """Digests of all numbers of a result in memory."""
    transforms = [result.fixed_to_moving, result.moving_to_fixed]
    transforms += list(result.tweening.values())
    arrays = [array for t in transforms for array in _parts(t)] + [result.moved.data]
    return [hashlib.sha256(np.ascontiguousarray(a)).hexdigest() for a in arrays]


if __name__ == "__main__":
    tyro.extras.subcommand_cli_from_dict({"run": Run, "compare": Compare}).run()
