"""Puts a trained model into the package, with a card of its data and figures.

    python runs/ship.py NAME --model RUN/best.safetensors --figures EVALUATION [...]

Writes src/voltween/models/NAME.safetensors (half precision), its card NAME.md, tables
of all structures and the curves of the training to docs/models/.
The evaluation folders are those of `voltween evaluate`; the first is the main one.
"""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro
from shared import read_rows

from voltween.models import load_model, save_model
from voltween.training.curves import write_progress

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "src" / "voltween" / "models"
STRUCTURES = ROOT / "docs" / "models"
MOST_LABELS_IN_CARD = 10


@dataclass(frozen=True)
class Card:
    """Facts to know before using a model."""

    purpose: str
    data: str
    license: str
    limits: str


CARDS = {
    "hippocampus": Card(
        purpose="T1 MR crops around one hippocampus",
        data=(
            "Medical Segmentation Decathlon Task04 (Vanderbilt University), 1 mm crops "
            "of about 35 x 50 x 36 voxels"
        ),
        license="data CC BY-SA 4.0",
        limits=(
            "The model is made for crops with the hippocampus near their center, of "
            "about the size above, and with the same side in both scans. It is not "
            "made for whole heads. Outside the crop there are no image data, so the "
            "deformation there is not meaningful. It was trained on adults from one "
            "center. Not a medical device."
        ),
    ),
    "headneck": Card(
        purpose="CT of head and neck",
        data=(
            "OpenKBP challenge (Babier et al. 2021), radiotherapy patients from TCIA "
            "on grids of 128^3 voxels, about 4.4 x 4.4 x 2.6 mm"
        ),
        license="repository MIT",
        limits=(
            "The model works on a grid of 4 x 4 x 3.5 mm around the center of the "
            "scan: it aligns poses, and glands and cord roughly. The training scans "
            "are dark outside the patient, and their structures (brainstem, cord, "
            "parotids, esophagus, larynx, mandible) are those of radiotherapy. The "
            "orientation of the patients in the scanner is not recorded, but all have "
            "the same one. Use scans of the same kind and orientation, in Hounsfield "
            "units or with 1000 added. Regions that only one of the two scans shows "
            "cannot be registered reliably. Not a medical device."
        ),
    ),
    "brain-any": Card(
        purpose=(
            "MR of whole heads or skull-stripped brains in other contrasts than T1, or "
            "of two contrasts"
        ),
        data=(
            "The scans of `brain` (IXI, Hammersmith Hospital subset, 2 mm, segmented "
            "by DLMUSE of CBICA, University of Pennsylvania), in random curves of "
            "intensities, and 17 label maps of whole heads (SynthSeg, Billot et al. "
            "2023), painted in random intensities"
        ),
        license=(
            "images CC BY-SA 3.0, labels SBIA license; SynthSeg's maps Apache-2.0"
        ),
        limits=(
            "The network sees edges, not intensities, on a grid of 2.5 mm. It is "
            "never chosen by itself: give `--model brain-any`, and keep the "
            "refinement, which does most of the work. On T1 scans, `brain` is better. "
            "Across contrasts it was measured on three pairs of T1 scans whose "
            "intensities were changed "
            "(`runs/contrasts.py`, docs/models.md), not on scans of other sequences or "
            "of CT. It has no fingerprint, so that scans of other organs are not "
            "refused: look at the verdict. Not a medical device."
        ),
    ),
    "brain": Card(
        purpose="T1 MR of whole heads or skull-stripped brains",
        data=(
            "IXI, Hammersmith Hospital subset, 2 mm, segmented by DLMUSE (CBICA, "
            "University of Pennsylvania)"
        ),
        license="images CC BY-SA 3.0, labels SBIA license",
        limits=(
            "The model works on a grid of 2.5 mm: it aligns lobes, ventricles and deep "
            "nuclei, not single gyri. Give it two raw heads or two stripped brains; it "
            "was not trained to register a raw head to a stripped brain. Training "
            "included no sequences other than T1, no infants, and no large lesions or "
            "resections. Rotating the moving head by another 10 or 20 degrees costs "
            "0.01 or 0.02 Dice, 30 degrees 0.09; at 40 degrees registration fails "
            "(`python runs/poses.py brain_ixi/cases.csv --model brain`). Not a medical "
            "device."
        ),
    ),
}


@dataclass(frozen=True)
class Ship:
    """Put a trained model into the package."""

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    """Name of the model; the text of its card is in this script."""
    model: Path
    """Model file that training wrote."""
    figures: tuple[Path, ...]
    """Folders of `voltween evaluate`."""
    curves: Path
    """Folder of the training run."""
    recipe: Path
    """Script that trained it."""

    def run(self) -> None:
        """Write the model and its card."""
        card = CARDS[self.name]
        model = load_model(self.model)
        provenance = {
            "purpose": card.purpose,
            "data": card.data,
            "licence": card.license,
            "measured": measured(self.figures[0]),
            **model.provenance,
        }
        model = replace(model, name=self.name, provenance=provenance)
        save_model(model, MODELS / f"{self.name}.safetensors")
        text = card_text(self.name, card, provenance, self.figures, self.recipe)
        (MODELS / f"{self.name}.md").write_text(text)
        STRUCTURES.mkdir(parents=True, exist_ok=True)
        for folder in self.figures:
            table = STRUCTURES / f"{self.name}_{folder.name}_structures.csv"
            shutil.copy(folder / "summary_structures.csv", table)
        write_progress(self.curves, STRUCTURES / f"{self.name}_training.png")


def measured(folder: Path) -> str:
    """One line on the main figures: first and last stage."""
    rows = read_rows(folder / "summary_stages.csv")
    first, last = rows[0], rows[-1]
    return (
        f"val Dice {float(first['dice']):.3f} before, {float(last['dice']):.3f} after, "
        f"{float(last['folding_percent']):.2g} % folding, {last['pairs']} pairs"
    )


def card_text(
    name: str, card: Card, provenance: dict, figures: tuple[Path, ...], recipe: Path
) -> str:
    """The model card as Markdown."""
    parts = [
        f"# {name}",
        f"For {card.purpose}.",
        "## Data",
        f"{card.data}. {provenance['train_scans']} scans for training, "
        f"{provenance['val_scans']} to choose the best checkpoint; no other scan was "
        f"used. License: {card.license}.",
        "## Recipe",
        f"`{recipe}`; the best checkpoint is from step {provenance['steps']} "
        "(of the last part, if there are several). All settings are in the model "
        "file (`voltween models`, or its safetensors metadata). Curves of the "
        f"training: `docs/models/{name}_training.png`.",
        "## Measured",
        *(part for folder in figures for part in measured_part(folder)),
        f"Every structure after the last stage: `docs/models/{name}_*_structures.csv`.",
        "## Limits",
        card.limits,
    ]
    return "\n\n".join(parts) + "\n"


def measured_part(folder: Path) -> list[str]:
    """Table of the stages and, where labels are few, of each label."""
    command = (folder / "command.txt").read_text("utf-8").strip()
    stages = read_rows(folder / "summary_stages.csv")
    whole = read_rows(folder / "summary.csv")[0]
    lines = ["| stage | Dice (SD over pairs) | IoU | folding % |", "|---|---|---|---|"]
    lines += [
        f"| {row['stage']} | {float(row['dice']):.3f} ({float(row['dice_sd']):.3f}) "
        f"| {float(row['iou']):.3f} | {float(row['folding_percent']):.3f} |"
        for row in stages
    ]
    parts = [
        f"`{command}`: {whole['pairs_ok']} ordered pairs of `val` scans, on the fixed "
        f"scan's grid, {float(whole['seconds_median']):.2f} s per pair (median, two "
        f"threads). HD95 {float(whole['hd95_mm_mean']):.2f} mm, mean surface "
        f"distance {float(whole['surface_distance_mm_mean']):.2f} mm, SD of log "
        f"Jacobian {float(whole['sd_log_jacobian_mean']):.3f}.",
        "\n".join(lines),
    ]
    labels = read_rows(folder / "summary_structures.csv")
    if len(labels) <= MOST_LABELS_IN_CARD:
        lines = ["| label | Dice | IoU | HD95 mm |", "|---|---|---|---|"]
        lines += [
            f"| {row['label']} | {float(row['dice']):.3f} | {float(row['iou']):.3f} "
            f"| {float(row['hd95_mm']):.2f} |"
            for row in labels
        ]
        parts.append("\n".join(lines))
    return parts


if __name__ == "__main__":
    tyro.cli(Ship).run()
