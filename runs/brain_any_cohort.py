"""Writes the manifest, the table of tissues and the plan of the model brain-any.

Usage: python runs/brain_any_cohort.py DATA OUT

DATA holds the cohorts brain_ixi (scans with labels) and synthseg_labels (label maps of
whole heads). OUT then has cases.csv, tissues.csv and plan.toml. Left and right have one
tissue class, and so have the parts of the cortex and those of the white matter, whose
borders no scan shows.
"""

import csv
import sys
from dataclasses import replace
from pathlib import Path

from voltween.models import load_model
from voltween.networks import CascadeConfig
from voltween.training import SYNTHESIS_TRAINING, Synthesis, TrainConfig, write_plan
from voltween.training.plan_file import TrainingPlan

LEFT = (2, 3, 4, 5, 7, 8, 10, 11, 12, 13, 17, 18, 25, 26, 28, 30, 136, 137)
RIGHT = (41, 42, 43, 44, 46, 47, 49, 50, 51, 52, 53, 54, 57, 58, 60, 62, 163, 164)
RIGHT_TO_LEFT = dict(zip(RIGHT, LEFT, strict=True))  # SynthSeg's labels
# Beginnings and parts of MUSE's names; what fits none is cortex.
MUSE_TISSUES = (
    ("fluid", ("CortCSF", "3rdVentricle", "4thVentricle", "Ventricle")),
    ("cerebellar white matter", ("Cerebellum_WM",)),
    ("white matter", ("_WM_", "Fornix", "InternalCapsule", "CorpCall")),
    ("cerebellar cortex", ("CerebellumExterior", "CerebellarVermal")),
    ("brainstem", ("BrainStem",)),
    ("ventral diencephalon", ("VentralDC",)),
    ("accumbens", ("Accumbens", "BasalForebrain")),
    ("caudate", ("Caudate",)),
    ("putamen", ("Putamen",)),
    ("pallidum", ("Pallidum",)),
    ("thalamus", ("Thalamus",)),
    ("hippocampus", ("Hippocampus_", "Amygdala")),
    ("optic chiasm", ("OpticChiasm",)),
)
UNNAMED = {"46": "CortCSF", "69": "OpticChiasm"}  # labels that structures.csv lacks


def main(data: Path, out: Path) -> None:
    """Writes the three files."""
    out.mkdir(parents=True, exist_ok=True)
    write_rows(out / "cases.csv", [*ixi_cases(data), *synthseg_cases(data)])
    write_rows(out / "tissues.csv", [*ixi_tissues(data), *synthseg_tissues(data)])
    model = load_model("brain")
    assert isinstance(model.network.config, CascadeConfig)
    plan = TrainingPlan(
        out / "cases.csv",
        model.preprocessing,
        replace(model.network.config, sees="edges"),
        settings(out),
    )
    write_plan(plan, out / "plan.toml", heading=["Made by runs/brain_any_cohort.py"])


def settings(out: Path) -> TrainConfig:
    """The settings: brain teaches its flows, from whose weights training starts.

    Poses and shapes differ by what people differ by. Most sides are scans in a random
    curve of intensities; the maps of whole heads are dark where they have no label.
    """
    objective = replace(
        SYNTHESIS_TRAINING.objective, end_point_error=1.0, total_variation=0.3
    )
    poses = {"rotation_degrees": 4.0, "scaling": 0.06, "translation": 0.03}
    return replace(
        SYNTHESIS_TRAINING,
        steps=3400,
        steps_per_epoch=850,
        full_rate_epochs=2,
        learning_rate=2e-4,
        objective=objective,
        augmentation=replace(
            SYNTHESIS_TRAINING.augmentation, displacement=0.04, noise=0.03, **poses
        ),
        labels_per_pair=8,
        start_from="brain",
        synthesis=Synthesis(
            share=1.0,
            tissues=out / "tissues.csv",
            unlabeled="dark",
            scans=0.85,
            blur_voxels=0.7,
            slice_mm=5.0,
            subdivision=1,
            teacher="brain",
        ),
        validate_every=250,
        validation_pairs=10,
    )


def ixi_cases(data: Path) -> list[dict[str, object]]:
    """The `train` and `val` scans, with their labels."""
    return [
        row | paths(row, data / "brain_ixi") | {"cohort": "ixi"}
        for row in read_rows(data / "brain_ixi/cases.csv")
    ]


def synthseg_cases(data: Path) -> list[dict[str, object]]:
    """The `train` label maps; models are chosen on scans."""
    return [
        row | paths(row, data / "synthseg_labels") | {"cohort": "synthseg"}
        for row in read_rows(data / "synthseg_labels/cases.csv")
        if row["split"] == "train"
    ]


def ixi_tissues(data: Path) -> list[dict[str, object]]:
    """MUSE's labels, each a structure, in classes by name."""
    rows = read_rows(data / "brain_ixi/structures.csv")
    names = {row["label"]: row["name"] for row in rows} | UNNAMED
    return [
        tissue_row("ixi", label, muse_class(name), label)
        for label, name in names.items()
    ]


def muse_class(name: str) -> int:
    """Number of the tissue of a structure."""
    for number, (_, parts) in enumerate(MUSE_TISSUES, 1):
        if any(part in name for part in parts):
            return number
    return len(MUSE_TISSUES) + 1


def synthseg_tissues(data: Path) -> list[dict[str, object]]:
    """SynthSeg's labels: one class per label, the same on the left and on the right."""
    return [
        tissue_row(
            "synthseg",
            row["label"],
            RIGHT_TO_LEFT.get(int(row["label"]), int(row["label"])),
            row["evaluation_label"],
        )
        for row in read_rows(data / "synthseg_labels/structures.csv")
    ]


def tissue_row(
    cohort: str, label: str, tissue: int, structure: str
) -> dict[str, object]:
    """A row of the table of tissues."""
    return {
        "cohort": cohort,
        "label": label,
        "tissue_class": tissue,
        "evaluation_label": structure,
    }


def paths(row: dict[str, str], folder: Path) -> dict[str, str]:
    """The paths of a row from anywhere; no image where it has none."""
    return {
        role: str((folder / row[role]).resolve()) if row.get(role) else ""
        for role in ("image", "labels")
    }


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    """Writes rows as a CSV with the columns of the first."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
