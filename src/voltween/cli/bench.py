"""Command: measure against plain PyTorch."""

from dataclasses import dataclass
from pathlib import Path

from rich.markdown import Markdown

from voltween.cli import console


@dataclass(frozen=True)
class Bench:
    """Measure operations, cascades and training steps against plain PyTorch.

    Writes performance.md and results.json. Takes half an hour on two cores; close what
    else is running.
    """

    out: Path = Path("bench")
    """Folder for the results; made if missing."""
    sizes: tuple[int, ...] = ()
    """Sides of the cubes in voxels, multiples of 8: the first for all tables, all for
    the table of growth. If not given, 128 64 96 192."""
    quick: bool = False
    """One cascade, few repetitions, sides 32 and 16 if --sizes is not given."""

    def run(self) -> None:
        """Measure, show, write."""
        from voltween.benchmarks import Settings, run_suite, write_report

        settings = Settings(self.sizes, self.quick)
        with console.console.status("Measuring ...") as status:
            results = run_suite(
                settings, on_part=lambda part: status.update(f"Measuring {part} ...")
            )
        page = write_report(results, self.out)
        console.console.print(Markdown(page), soft_wrap=False)
        console.console.print(f"Wrote {self.out / 'performance.md'}")
