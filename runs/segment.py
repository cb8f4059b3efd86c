"""Measures segmentation by atlases: Dice by number of atlases, and processor seconds.

    python runs/segment.py MANIFEST WORK OUT.csv --targets 2 --atlases 1 3 5 9
    python runs/segment.py MANIFEST WORK OUT.csv --tool ants
    python runs/segment.py MANIFEST WORK OUT.csv --tool jlf
    python runs/segment.py MANIFEST WORK OUT.csv --show

The first `val` scans of a manifest are labeled by its first `train` scans; Dice is the
mean over the labels that the target and at least one atlas have. `voltween` registers
as `voltween segment` does and fuses in every way; `ants` is antspyx: SyN and
`joint_label_fusion`, whose patches are compared by correlation; `jlf` is
`joint_label_fusion` on the registrations of `voltween`, which must have been run
before. Seconds are processor seconds of one thread (set OMP_NUM_THREADS and
ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS to 1): of all registrations of a target, and of the
fusion. WORK keeps the registrations.
"""

import argparse
import csv
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
from shared import read_rows

from voltween import io
from voltween.batches import (
    CohortRun,
    PairRow,
    RegistrationOptions,
    Work,
    register_cases,
    write_pages,
)
from voltween.cohorts import Case, cases_of_split, load_case, read_manifest
from voltween.fusion import Atlas, Fusion, fuse_labels
from voltween.metrics import dice_per_label
from voltween.registration import RECORD
from voltween.spatial import Image, LabelMap, Transform
from voltween.storage import read_json
from voltween.workers import Engine

Row = dict[str, str | float]
Registered = list[tuple[Transform, float]]


def registering(works: Sequence[Work], folder: Path) -> list[PairRow]:
    """Registers what is missing, one after another."""
    run = CohortRun(works, folder, Engine())
    run.make_folder()
    run.run(run.begin(lambda status: None), print)
    return write_pages(works, folder)


def by_voltween(target: Case, atlases: Sequence[Case], work: Path) -> Registered:
    """Transforms to the atlases, with the processor seconds of each."""
    folder, options = work / target.name, RegistrationOptions(outputs="transform")
    found = register_cases(
        atlases, target.image, folder, options, registering, is_one_contrast=False
    )
    if found.left_out:
        raise SystemExit(f"left out: {found.left_out}")
    paths = [found.transforms[case.name] for case in atlases]
    records = [read_json(path.parent / RECORD, "a record") for path in paths]
    seconds = [sum(record["seconds"]["processor"].values()) for record in records]
    return [
        (io.read_transform(path), spent)
        for path, spent in zip(paths, seconds, strict=True)
    ]


def by_ants(target: Case, atlases: Sequence[Case], work: Path) -> Registered:
    """The same by SyN of antspyx."""
    import ants

    fixed, result = ants.image_read(str(target.image)), []
    for case in atlases:
        prefix = work / f"ants-{target.name}" / f"{case.name}-"
        prefix.parent.mkdir(parents=True, exist_ok=True)
        start = time.process_time()
        moving = ants.image_read(str(case.image))
        ants.registration(fixed, moving, "SyN", outprefix=str(prefix))
        spent = time.process_time() - start
        affine = io.read_transform(f"{prefix}0GenericAffine.mat")
        warp = io.read_transform(f"{prefix}1Warp.nii.gz")
        result.append((affine @ warp, spent))
    return result


def joint_label_fusion(scan: Image, atlases: Sequence[Atlas]) -> LabelMap:
    """antspyx's joint label fusion, within the labels of any atlas."""
    import ants

    with tempfile.TemporaryDirectory() as folder:

        def as_ants(volume: Image | LabelMap):
            path = Path(folder) / "volume.nii.gz"
            io.write(volume, path)
            return ants.image_read(str(path))

        grid = scan.grid
        images = [a.from_scan.resample(a.image, onto=grid) for a in atlases]
        labels = [a.from_scan.resample(a.labels, onto=grid) for a in atlases]
        anywhere = np.any([each.data > 0 for each in labels], axis=0)
        mask = LabelMap(anywhere.astype(np.uint8), grid)
        result = ants.joint_label_fusion(
            as_ants(scan),
            as_ants(mask),
            [as_ants(image) for image in images],
            label_list=[as_ants(each) for each in labels],
            # By mean squares, antspyx's default, ANTs compares an atlas's patch as it
            # is with a normalized one of the scan, and takes the darkest one near by.
            # Correlation is the default of ANTs' own filter.
            usecor=True,
        )
        path = Path(folder) / "fused.nii.gz"
        ants.image_write(result["segmentation"], str(path))
        fused = io.read(path)
    return LabelMap(np.rint(fused.data).astype(np.int32), grid)


def rows(options: argparse.Namespace) -> Iterator[Row]:
    """Rows of all targets, numbers of atlases and fusions."""
    cases = read_manifest(options.manifest)
    targets = cases_of_split(cases, "val")[: options.targets]
    cases = cases_of_split(cases, "train")[: max(options.atlases)]
    atlases = [load_case(case) for case in cases]
    for target in targets:
        scan, truth = load_case(target)
        register = by_ants if options.tool == "ants" else by_voltween
        found = register(target, cases, options.work)
        for count in options.atlases:
            chosen = [
                Atlas(image, labels, transform)
                for (image, labels), (transform, _) in zip(atlases, found, strict=True)
            ][:count]
            spent = sum(seconds for _, seconds in found[:count])
            for name in fusions(options.tool, count):
                start = time.process_time()
                fused = (
                    joint_label_fusion(scan, chosen)
                    if name == "joint_label_fusion"
                    else fuse_labels(scan, chosen, name)
                )
                yield {
                    "tool": options.tool,
                    "target": target.name,
                    "atlases": count,
                    "fusion": name,
                    "dice": mean_dice(truth, fused, chosen),
                    "registration_seconds": spent,
                    "fusion_seconds": time.process_time() - start,
                }


def fusions(tool: str, count: int) -> Sequence[str]:
    """The fusions to measure; of one atlas there is nothing to fuse."""
    if count == 1:
        return ("majority",) if tool != "jlf" else ()
    return get_args(Fusion) if tool == "voltween" else ("joint_label_fusion",)


def mean_dice(truth: LabelMap, fused: LabelMap, atlases: Sequence[Atlas]) -> float:
    """Mean Dice over the labels that the target and at least one atlas have."""
    known = set().union(*(atlas.labels.labels for atlas in atlases))
    per_label = dice_per_label(truth.data, fused.data)
    return float(
        np.mean([per_label.get(label, 0.0) for label in known & set(truth.labels)])
    )


def main() -> None:
    """Measures, or shows what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--tool", choices=("voltween", "ants", "jlf"), default="voltween"
    )
    parser.add_argument("--targets", type=int, default=2)
    parser.add_argument("--atlases", type=int, nargs="+", default=[1, 3, 5, 9])
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    if options.show:
        show(options.out)
        return
    for row in rows(options):
        is_new = not options.out.exists()
        with options.out.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if is_new:
                writer.writeheader()
            writer.writerow(row)


def show(path: Path) -> None:
    """Prints means over the targets in Markdown."""
    table: dict[tuple[str, str, int], list[dict[str, str]]] = {}
    for row in read_rows(path):
        key = row["tool"], row["fusion"], int(row["atlases"])
        table.setdefault(key, []).append(row)
    print("| registration | fusion | atlases | Dice | registrations, s | fusion, s |")
    print("|---|---|---|---|---|---|")
    for (tool, fusion, count), group in sorted(table.items()):
        dice, registration, fusing = (
            np.mean([float(row[name]) for row in group])
            for name in ("dice", "registration_seconds", "fusion_seconds")
        )
        print(
            f"| {tool} | {fusion} | {count} | {dice:.3f} | {registration:.0f} | "
            f"{fusing:.1f} |"
        )


if __name__ == "__main__":
    main()
