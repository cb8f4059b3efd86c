"""Measures templates: overlap of the scans' labels in template space, per round.

    python runs/templates.py MANIFEST WORK OUT.csv --method voltween --cases 6
    python runs/templates.py MANIFEST WORK OUT.csv --method ants
    python runs/templates.py MANIFEST WORK OUT.csv --show
    python runs/templates.py MANIFEST WORK OUT.csv --picture FILE.png

The first `train` cases of the manifest, three rounds, no start. Every round registers
all scans to its template; the labels, moved by these transforms, are compared for every
pair of scans (mean Dice over the labels that both have). `voltween` is the command
`voltween template` (further words behind `--` are given to it); `ants` is antspyx's
`build_template`, called with one iteration per round so that its transforms can be
read, on scans scaled to 0..1. Processor seconds are of one thread (set OMP_NUM_THREADS
and ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS to 1), without imports, and add up over the
rounds. WORK keeps the templates; "--picture" draws those of both methods, beside the
first scan, through the middle of ours, or "--at" so many mm from it.
"""

import argparse
import csv
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from shared import read_rows, write_small_picture

from voltween import io
from voltween.cohorts import Case, cases_of_split, read_manifest, write_manifest
from voltween.figures import PLANES, gray, paint_mosaic, plane_view
from voltween.metrics import dice_per_label
from voltween.refinement.presets import choose_refinement
from voltween.registration import RECORD, register
from voltween.spatial import Grid, LabelMap, Transform, labels_in_common
from voltween.storage import read_json

ROUNDS = 3
_SIDE = 160  # pixels, of a section in the picture
Row = dict[str, str | float]


def overlap(cases: Sequence[Case], transforms: dict[str, Transform], onto: Grid) -> Row:
    """Mean and worst Dice over the pairs of scans, of labels moved to the template."""
    moved = {
        case.name: transforms[case.name].resample(
            io.read_labels(case.labels), onto=onto
        )
        for case in cases
        if case.name in transforms
    }
    dice = [pair_dice(one, other) for one, other in combinations(moved.values(), 2)]
    return {"scans": len(moved), "dice": float(np.mean(dice)), "worst": min(dice)}


def pair_dice(one: LabelMap, other: LabelMap) -> float:
    """Mean Dice of two label maps over the labels that both have."""
    shared = labels_in_common(one, other)
    per_label = dice_per_label(one.data, other.data)
    return float(np.mean([per_label[label] for label in shared]))


def ants_rounds(cases: Sequence[Case], work: Path) -> Iterator[Row]:
    """Rounds of antspyx's build_template."""
    import ants

    images = [ants.iMath(ants.image_read(str(c.image)), "Normalize") for c in cases]
    template, spent = None, 0.0
    for number in range(1, ROUNDS + 1):
        folder = work / f"ants-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        start = time.process_time()
        updated = ants.build_template(template, images, 1, output_dir=str(folder))
        spent += time.process_time() - start
        onto = (
            io.read(cases[0].image) if template is None else template_of(work, number)
        )
        transforms = {c.name: ants_transform(folder, n) for n, c in enumerate(cases)}
        yield {
            "round": number,
            "seconds": spent,
            **overlap(cases, transforms, onto.grid),
        }
        template = updated
        ants.image_write(template, str(work / f"ants-template-{number + 1}.nii.gz"))


def template_of(work: Path, number: int):
    """The template that a round of ANTs registers to."""
    return io.read(work / f"ants-template-{number}.nii.gz")


def ants_transform(folder: Path, number: int) -> Transform:
    """The transform of a scan from the template's world to its own."""
    prefix = folder / f"img{number:04d}" / "out"
    affine = io.read_transform(f"{prefix}0GenericAffine.mat")
    return affine @ io.read_transform(f"{prefix}1Warp.nii.gz")


def voltween_rounds(
    cases: Sequence[Case], work: Path, words: Sequence[str]
) -> Iterator[Row]:
    """Rounds of `voltween template`; round 0 is the affine one."""
    manifest, out, spent = work / "cases.csv", work / "template", 0.0
    work.mkdir(parents=True, exist_ok=True)
    write_manifest(cases, manifest)
    command = [sys.executable, "-m", "voltween", "template", str(manifest)]
    command += ["--out", str(out), "--rounds", str(ROUNDS), *words]
    subprocess.run(command, check=False)
    for number in range(ROUNDS + 1):
        folder = out / "rounds" / str(number)
        update = io.read_transform(folder / "update.h5")
        transforms = {
            path.parent.name: io.read_transform(path) @ update
            for path in (folder / "cases").glob("*/fixed_to_moving.h5")
        }
        if number == 0:
            transforms[cases[0].name] = update
        spent += seconds_of(out, number)
        onto = io.read(folder / "template.nii.gz").grid
        yield {"round": number, "seconds": spent, **overlap(cases, transforms, onto)}


def seconds_of(out: Path, number: int) -> float:
    """Processor seconds of a round: registrations with all that they write, averaging.

    Files that begin a process, such as its imports, are not among them.
    """
    records = (out / "rounds" / str(number) / "cases").glob(f"*/{RECORD}")
    parts = [read_json(path, "a record")["seconds"]["processor"] for path in records]
    record = read_json(out / "records" / f"round-{number}.json", "a record")
    return sum(sum(part.values()) for part in parts) + record["processor_seconds"]


def main() -> None:
    """Measures, or shows what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--method", choices=("voltween", "ants"), default="voltween")
    parser.add_argument("--name", help="name in the table; if not given, the method's")
    parser.add_argument("--cases", type=int, default=6)
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--picture", type=Path, help="PNG of the templates in WORK")
    parser.add_argument("--at", type=float, nargs=3, default=(0, 0, 0), metavar="MM")
    parser.add_argument("words", nargs="*", help="further options of the command")
    options = parser.parse_args()
    if options.show:
        show(options.out)
        return
    cases = cases_of_split(read_manifest(options.manifest), "train")[: options.cases]
    if options.picture:
        draw(cases[0], options.work, options)
        return
    rounds = (
        ants_rounds(cases, options.work)
        if options.method == "ants"
        else voltween_rounds(cases, options.work, options.words)
    )
    for row in rounds:
        add(options.out, {"method": options.name or options.method, **row})


def add(path: Path, row: Row) -> None:
    """Appends a row to the table."""
    is_new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if is_new:
            writer.writeheader()
        writer.writerow(row)


def show(path: Path) -> None:
    """Prints the table in Markdown."""
    print("| method | round | Dice, all pairs | worst pair | processor seconds |")
    print("|---|---|---|---|---|")
    for row in read_rows(path):
        cells = (float(row[n]) for n in ("dice", "worst", "seconds"))
        dice, worst, seconds = cells
        print(
            f"| {row['method']} | {row['round']} | {dice:.3f} | {worst:.3f} | "
            f"{seconds:.0f} |"
        )


def draw(first: Case, work: Path, options: argparse.Namespace) -> None:
    """Draws a scan, the affine and the last template, and the last one of ANTs.

    The sections of all go through the same place, which rigid registrations find.
    """
    template = work / "template"
    ours = io.read(template / "template.nii.gz")
    images = {
        "first scan": io.read(first.image),
        "affine (round 0)": io.read(template / "rounds" / "0" / "template.nii.gz"),
        "voltween template": ours,
        "antspyx": template_of(work, ROUNDS + 1),
    }
    middle_mm = ours.grid.center_mm + options.at
    rigid = choose_refinement("fast", has_model=False, transform="rigid")
    columns = {}
    for name, image in images.items():
        found = register(ours, image, model=None, refinement=rigid).fixed_to_moving
        (place_mm,) = found.map_positions(middle_mm[None])
        views = [plane_view(p, image.grid, place_mm, pixels=_SIDE) for p in PLANES]
        columns[name] = [gray(view.gray(image)) for view in views]
    write_small_picture(paint_mosaic("", columns), options.picture)


if __name__ == "__main__":
    main()
