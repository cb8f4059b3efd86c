"""Command: list the installed models."""

from dataclasses import dataclass
from typing import Any

from rich.table import Table

from voltween.cli.console import console
from voltween.models import fingerprint_in, installed_models
from voltween.networks import config_from_facts
from voltween.registration import usual_of


@dataclass(frozen=True)
class Models:
    """List the installed models, their purpose, training and accuracy."""

    def run(self) -> None:
        """List them."""
        table = Table("model", "facts", show_lines=True)
        table.columns[0].no_wrap = True
        for name, description in installed_models():
            facts = _facts(name, description)
            table.add_row(name, "\n".join(f"{k}: {v}" for k, v in facts.items() if v))
        console.print(table)


def _facts(name: str, description: dict[str, Any]) -> dict[str, str]:
    """Returns a model's purpose, fitting scans, network, training and accuracy."""
    network = config_from_facts(description)
    preprocessing = description["preprocessing"]
    shape = " x ".join(map(str, preprocessing["shape"]))
    spacing = " x ".join(f"{mm:g}" for mm in preprocessing["spacing_mm"])
    provenance = description["provenance"]
    return {
        "for": provenance.get("purpose", ""),
        "fits": str(fingerprint_in(description) or ""),
        "network": f"{network.title}, {shape} voxels of {spacing} mm",
        "trained on": f"{provenance.get('data', '')}; "
        f"{len(provenance['train_cases'])} scans, {provenance['steps']} steps",
        "measured": provenance.get("measured", ""),
        "--refine auto": usual_of(name).effort or "none",
    }
