"""Command: write the card of a trained model, and put it among one's own models."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from voltween.cli.results import report_written
from voltween.training import CardWords, check_own_name, keep_as_own_model, write_card


@dataclass(frozen=True)
class Card:
    """Write the card of a model that you trained.

    With --name, the model goes among your own models. The card, card.md in the folder
    of the run, says what the model is for, what it
    learned from, how it was trained, and what was measured. It names no cases, unless
    the model does (`--names-cases` of `voltween train`).
    """

    folder: Annotated[Positional[Path], tyro.conf.arg(metavar="RUN")]
    """Folder of a training run."""
    name: str | None = None
    """Put model and card into the folder of your models under this name, which --model
    then takes, and `voltween models` lists. The folder is $VOLTWEEN_MODELS, or
    voltween/models in $XDG_DATA_HOME (~/.local/share)."""
    words: Annotated[CardWords, tyro.conf.arg(name="")] = field(
        default_factory=CardWords
    )
    overwrite: bool = False
    """Replace a model of yours that has this name."""

    @property
    def out(self) -> Path:
        """The folder that the command writes in, where a card may be replaced."""
        return self.folder

    def run(self) -> None:
        """Write the card, and the model if it has a name."""
        if self.name is not None:
            check_own_name(self.name, overwrite=self.overwrite)
        card = write_card(self.folder, self.words)
        report_written(card)
        if self.name is not None:
            path = keep_as_own_model(
                self.folder, self.name, self.words, overwrite=self.overwrite
            )
            report_written(path, f"take it with --model {self.name}")
