"""Command: list the models at hand."""

from dataclasses import dataclass
from typing import Any

from rich.table import Table

from voltween.cli.console import console
from voltween.errors import InputError
from voltween.models import (
    fingerprint_in,
    shipped_features,
    shipped_models,
    user_folder,
    user_models,
)
from voltween.networks import config_from_facts
from voltween.registration import usual_of


@dataclass(frozen=True)
class Models:
    """List the shipped models and your own: purpose, training, accuracy.

    Your own are in the folder $VOLTWEEN_MODELS, or voltween/models in $XDG_DATA_HOME
    (~/.local/share); `voltween card RUN --name NAME` puts them there. They are taken by
    --model NAME alone, never chosen by themselves.
    """

    def run(self) -> None:
        """List them."""
        table = Table("model", "facts", show_lines=True)
        table.columns[0].no_wrap = True
        for name, description in shipped_models():
            _add(table, name, _facts(name, description))
        for name, description in shipped_features():
            _add(table, f"features {name}", _facts_of_features(description))
        own = 0
        for name, description in user_models():
            try:
                facts = _facts(name, description)
            except (InputError, KeyError, TypeError, ValueError) as error:
                facts = {"cannot be read": str(error)}
            _add(table, name, {"your own": " ", **facts})
            own += 1
        console.print(table)
        console.print(f"Your own models: {own} in {user_folder()}")


def _add(table: Table, name: str, facts: dict[str, str]) -> None:
    table.add_row(name, "\n".join(f"{k}: {v}" for k, v in facts.items() if v))


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
        "trained on": _training(provenance),
        "measured": provenance.get("measured", ""),
        "--refine auto": usual_of(name).effort or "none",
    }


def _facts_of_features(description: dict[str, Any]) -> dict[str, str]:
    """Returns purpose, training and accuracy of learned features."""
    provenance = description["provenance"]
    return {
        "for": f"--similarity features; {provenance.get('purpose', '')}",
        "fits": str(fingerprint_in(description) or ""),
        "trained on": _training(provenance),
        "measured": provenance.get("measured", ""),
    }


def _training(provenance: dict[str, Any]) -> str:
    """Source and number of the training scans, and steps of a model."""
    cases = provenance.get("train_cases")  # shipped models name theirs
    scans = provenance.get("train_scans", len(cases) if cases is not None else "?")
    source = [text] if (text := provenance.get("data")) else []
    return "; ".join([*source, f"{scans} scans, {provenance.get('steps', '?')} steps"])
