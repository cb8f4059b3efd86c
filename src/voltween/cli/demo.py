"""Command: the demo."""

from dataclasses import dataclass
from pathlib import Path

from voltween.cli import console
from voltween.cli.register import DEFAULT_MODEL
from voltween.demo import run_demo
from voltween.models import load_model


@dataclass(frozen=True)
class Demo:
    """Register two individuals made from the ICBM152 template; nothing is downloaded.

    They differ in shape, pose, contrast, storage orientation and spacing, and the true
    transform between them is known, so the demo says how far off the result is.
    """

    out: Path
    """Folder for the results."""

    def run(self) -> None:
        """Make, register, compare, write."""
        with console.console.status("Making two individuals and registering them ..."):
            result = run_demo(load_model(DEFAULT_MODEL), self.out)
        console.show_demo(result, self.out / "overview.png")
