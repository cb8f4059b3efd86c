"""Command: list the models at hand, or show the card of one."""

from dataclasses import dataclass
from typing import Annotated, Any

import tyro
from rich.table import Table
from tyro.conf import Positional

from voltween.cli.console import console, show_markdown
from voltween.cli.results import give_result
from voltween.errors import InputError
from voltween.models import (
    fingerprint_in,
    model_card,
    shipped_features,
    shipped_models,
    user_folder,
    user_models,
)
from voltween.networks import config_from_facts
from voltween.registration import usual_of


@dataclass(frozen=True)
class Models:
    """List the models at hand, or show the card of one with its limits.

    The list has their purpose, training and accuracy. The card also says what a model
    is not fit for. Your own models are in the folder $VOLTWEEN_MODELS, or
    voltween/models in $XDG_DATA_HOME (~/.local/share); `voltween card RUN --name NAME`
    puts them there. They are taken by --model NAME alone, never chosen by themselves.
    """

    name: Annotated[Positional[str | None], tyro.conf.arg(metavar="NAME")] = None
    """Model whose card to show; without it, all are listed."""

    def run(self) -> None:
        """List them, or show the card."""
        if self.name is None:
            _list_models()
        else:
            card = model_card(self.name)
            give_result(model=self.name, card=card)
            show_markdown(card)


def _list_models() -> None:
    """Lists all models with their facts."""
    table = Table("model", "facts", show_lines=True)
    table.columns[0].no_wrap = True
    shipped = {name: _facts(name, text) for name, text in shipped_models()}
    features = {n: _facts_of_features(text) for n, text in shipped_features()}
    own = {name: _own_facts(name, text) for name, text in user_models()}
    for name, facts in shipped.items():
        _add(table, name, facts)
    for name, facts in features.items():
        _add(table, f"features {name}", facts)
    for name, facts in own.items():
        _add(table, name, facts)
    give_result(shipped=shipped, features=features, own=own, folder=user_folder())
    console.print(table)
    console.print(f"Your own models: {len(own)} in {user_folder()}")


def _own_facts(name: str, description: dict[str, Any]) -> dict[str, str]:
    """The facts of one of the user's own models, or why it cannot be read."""
    try:
        facts = _facts(name, description)
    except (InputError, KeyError, TypeError, ValueError) as error:
        facts = {"cannot be read": str(error)}
    return {"your own": " ", **facts}


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
        "--refine auto": _usual_refinement(name),
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
    """Source and number of the training scans, and steps of a model.

    Of a training that started from other weights, only its own steps are known.
    """
    cases = provenance.get("train_cases")  # shipped models name theirs
    scans = provenance.get("train_scans", len(cases) if cases is not None else "?")
    source = [text] if (text := provenance.get("data")) else []
    steps = f"{scans} scans, {provenance.get('steps', '?')} steps"
    training = provenance.get("training")
    is_continued = isinstance(training, dict) and training.get("start_from") is not None
    return "; ".join([*source, steps + " after earlier training" * is_continued])


def _usual_refinement(name: str) -> str:
    """The refinement that a model gets if nothing is said about it."""
    usual = usual_of(name)
    return f"{usual.effort}, {usual.similarity}" if usual.effort else "none"
