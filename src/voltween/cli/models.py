"""Command: list the installed models."""

from dataclasses import dataclass

from voltween.cli import console
from voltween.models import installed_models


@dataclass(frozen=True)
class Models:
    """List the installed models: what they are for, trained on what, measured how."""

    def run(self) -> None:
        """List."""
        console.show_models(list(installed_models()))
