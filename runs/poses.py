"""Measures whether scans in any pose are registered as well as unmoved ones.

    python runs/poses.py DATA OUT.csv --sets brain hippocampus headneck
        --methods voltween network greedy ants --poses 100
    python runs/poses.py DATA OUT.csv --show

DATA holds brain_ixi/, hippocampus/ and headneck_ct/. Ten pairs of `val` scans per set;
the moving scan is turned (rotations uniform over all, shifts of up to 80 mm) and
resampled once. Dice is measured on the moving labels as stored, so that resampling them
costs nothing. A method that raises an error has no answer, and the column `error` names
its type. `network` is the model alone from the headers, `voltween` with the search
before it, both without refinement; greedy starts with its moments, ANTs with its affine
initializer over all rotations (on coarse voxels), both followed by an affine stage.
"""

import argparse
import csv
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path

import numpy as np
from shared import LabeledScan, mean_dice, place, random_pose, read_rows, val_scans

from voltween import io
from voltween.errors import InputError
from voltween.metrics import dice_per_label
from voltween.models import load_model
from voltween.registration import register, register_by_network
from voltween.spatial import Affine, Image, Transform

SETS = {"brain": "brain_ixi", "hippocampus": "hippocampus", "headneck": "headneck_ct"}
PAIRS, SHIFT_MM, TOLERANCE = 10, 80.0, 0.02
Registering = Callable[[Image, Image], Transform]


def voltween_method(name: str) -> Registering:
    """The shipped model with the search of poses, without refinement."""
    model = load_model(name)

    def answer(fixed: Image, moving: Image) -> Transform:
        found = register(fixed, moving, model=model, refinement=None)
        return found.fixed_to_moving

    return answer


def network_method(name: str) -> Registering:
    """The shipped model alone."""
    model = load_model(name)
    return lambda *pair: register_by_network(*pair, model).fixed_to_moving


def greedy_method(name: str) -> Registering:
    """greedy: rotations and signs of the moments, then affine."""
    from picsl_greedy import Greedy3D

    def answer(fixed: Image, moving: Image) -> Transform:
        with tempfile.TemporaryDirectory() as folder:
            paths = write_pair(Path(folder), fixed, moving)
            moments, affine = (Path(folder) / f"{n}.mat" for n in ("moments", "affine"))
            greedy, pair = Greedy3D(), f"-i {paths[0]} {paths[1]} -threads 1"
            greedy.execute(f"{pair} -moments 2 -o {moments}")
            greedy.execute(
                f"{pair} -a -dof 12 -ia {moments} -m NCC 2x2x2 -n 100x50x10 -o {affine}"
            )
            return Affine(np.loadtxt(affine))

    return answer


def ants_method(name: str) -> Registering:
    """antspyx: its affine initializer, then its affine registration."""
    import ants

    def answer(fixed: Image, moving: Image) -> Transform:
        with tempfile.TemporaryDirectory() as folder:
            paths = write_pair(Path(folder), fixed, moving)
            pair = [ants.image_read(str(path)) for path in paths]
            coarse = [ants.resample_image(each, voxel_mm(each)) for each in pair]
            first = ants.affine_initializer(
                *coarse, search_factor=30, radian_fraction=1.0, use_principal_axis=True
            )
            found = ants.registration(*pair, "Affine", initial_transform=first)
            return io.read_transform(found["fwdtransforms"][0])

    return answer


def voxel_mm(scan) -> tuple[float, float, float]:
    """Voxels so wide that a scan has some 50 000 of them."""
    extent_mm = np.array(scan.shape) * scan.spacing
    side = max(float(np.cbrt(extent_mm.prod() / 5e4)), min(scan.spacing))
    return (side, side, side)


METHODS = {
    "voltween": voltween_method,
    "network": network_method,
    "greedy": greedy_method,
    "ants": ants_method,
}


def write_pair(folder: Path, fixed: Image, moving: Image) -> tuple[Path, Path]:
    """Writes both scans; returns their paths."""
    paths = folder / "fixed.nii", folder / "moving.nii"
    for image, path in zip((fixed, moving), paths, strict=True):
        io.write(image, path)
    return paths


def trials(
    data: Path, name: str, method: str, poses: int, seed: int
) -> Iterator[dict[str, str | float]]:
    """Rows of a method and a set: every pair unmoved, then its poses."""
    scans = list(val_scans(data / SETS[name] / "cases.csv").values())
    rng = np.random.default_rng(seed)
    pairs = list(permutations(range(len(scans)), 2))
    drawn = rng.permutation(len(pairs))[:PAIRS]
    find = METHODS[method](name)
    for number, place_in_list in enumerate(drawn):
        fixed, moving = (scans[each] for each in pairs[place_in_list])
        unmoved = measure(find, fixed, moving, Affine.identity())
        for _ in range(poses // PAIRS):
            pose = random_pose(rng, moving[0].grid.center_mm, SHIFT_MM)
            row: dict[str, str | float] = {"set": name, "method": method}
            row |= {"pair": number, "degrees": degrees(pose)}
            row |= {f"unmoved_{key}": value for key, value in unmoved.items()}
            yield row | measure(find, fixed, moving, pose)


def measure(
    find: Registering, fixed: LabeledScan, moving: LabeledScan, pose: Affine
) -> dict[str, float | str]:
    """Dice and processor seconds of a registration of the turned moving scan.

    Without an answer, Dice is 0, and `error` names the type of what was raised.
    """
    is_unmoved = np.array_equal(pose.matrix, np.eye(4))
    scan = moving[0] if is_unmoved else place(moving, pose)[0]
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            transform = find(fixed[0], scan)
        except (InputError, RuntimeError) as error:  # a tool that finds no overlap
            seconds = time.process_time() - start
            return {"dice": 0.0, "seconds": seconds, "error": type(error).__name__}
    seconds = time.process_time() - start
    moved = (pose.inverse() @ transform).resample(moving[1], onto=fixed[1].grid)
    both = set(fixed[1].labels) & set(moving[1].labels)
    dice = dice_per_label(fixed[1].data, moved.data)
    mean = mean_dice({n: dice[n] for n in both})
    return {"dice": mean, "seconds": seconds, "error": ""}


def degrees(pose: Affine) -> float:
    """The angle of a rotation."""
    cosine = (np.trace(pose.matrix[:3, :3]) - 1) / 2
    return float(np.degrees(np.arccos(cosine.clip(-1, 1))))


def show(path: Path) -> None:
    """Prints one line per set and method."""
    rows = read_rows(path)
    print("| set | method | poses | recovered | Dice unmoved, turned | seconds more |")
    print("|---|---|---|---|---|---|")
    for key in dict.fromkeys((row["set"], row["method"]) for row in rows):
        some = [row for row in rows if (row["set"], row["method"]) == key]
        of = {
            name: np.array([float(row[name]) for row in some])
            for name in ("dice", "unmoved_dice", "seconds", "unmoved_seconds")
        }
        recovered = int((of["dice"] >= of["unmoved_dice"] - TOLERANCE).sum())
        more = np.median(of["seconds"] - of["unmoved_seconds"])
        print(
            f"| {key[0]} | {key[1]} | {len(some)} | {recovered} | "
            f"{of['unmoved_dice'].mean():.3f}, {of['dice'].mean():.3f} | {more:.1f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--poses", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", action="store_true")
    given = parser.parse_args()
    if given.show:
        show(given.out)
        return
    with given.out.open("a", newline="") as file:
        writer = None
        for name in given.sets:
            for method in given.methods:
                for row in trials(given.data, name, method, given.poses, given.seed):
                    writer = writer or csv.DictWriter(file, list(row))
                    if file.tell() == 0:
                        writer.writeheader()
                    writer.writerow(row)
                    file.flush()


if __name__ == "__main__":
    main()
