"""Command: list the installed models."""

from dataclasses import dataclass
from typing import Any

from rich.table import Table

from voltween.cli.console import console
from voltween.models import fingerprint_in, installed_models
from voltween.networks import config_from_facts


@dataclass(frozen=True)
class Models:
    """List the installed models, their purpose, training and accuracy."""

    def run(self) -> None:
        """List them."""
        table = Table("model", "for", "fits", "network, grid", "trained on", "measured")
        for name, description in installed_models():
            table.add_row(name, *_cells(description))
        console.print(table)


def _cells(description: dict[str, Any]) -> tuple[str, str, str, str, str]:
    """Purpose, fitting scans, network and grid, training, accuracy of a model."""
    network = config_from_facts(description)
    preprocessing = description["preprocessing"]
    shape = " x ".join(map(str, preprocessing["shape"]))
    spacing = " x ".join(f"{mm:g}" for mm in preprocessing["spacing_mm"])
    provenance = description["provenance"]
    return (
        provenance.get("purpose", ""),
        str(fingerprint_in(description) or ""),
        f"{network.title}, {shape} voxels of {spacing} mm",
        f"{provenance.get('data', '')}; {len(provenance['train_cases'])} scans, "
        f"{provenance['steps']} steps",
        provenance.get("measured", ""),
    )
