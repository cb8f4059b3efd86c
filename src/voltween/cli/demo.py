"""Command: the demo."""

from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from voltween.cli.console import console
from voltween.cli.progress import changing_line
from voltween.cli.results import give_result
from voltween.demo import TISSUES, DemoResult, run_demo
from voltween.models import load_model

_MODEL = "brain"


@dataclass(frozen=True)
class Demo:
    """Register two individuals made from the ICBM152 template.

    Nothing is downloaded. The two differ in shape, pose, contrast, storage orientation
    and spacing, and the true transform between them is known, so the demo reports the
    error of the result.
    """

    out: Path
    """Folder for the results."""

    def run(self) -> None:
        """Make two individuals, register, compare, write."""
        with changing_line("Making two individuals and registering them ..."):
            result = run_demo(load_model(_MODEL), self.out)
        give_result(
            out=self.out,
            dice={
                stage: {TISSUES[label]: value for label, value in dice.items()}
                for stage, dice in result.dice.items()
            },
            error_mm=result.error_mm,
            seconds=result.seconds,
        )
        _show(result)
        console.print(f"Now open {self.out / 'report.html'}")


def _show(result: DemoResult) -> None:
    """Shows overlap and error of every stage."""
    table = Table("stage", *(f"Dice {name}" for name in TISSUES.values()), "error (mm)")
    for stage, dice in result.dice.items():
        values = [f"{dice[label]:.3f}" for label in TISSUES]
        table.add_row(stage, *values, f"{result.error_mm[stage]:.2f}")
    console.print(table)
    console.print(
        "Error: mean distance to the true position, over the brain. Folding "
        f"{result.registration.folding_percent:.3g} %. {result.seconds:.1f} s in all."
    )
