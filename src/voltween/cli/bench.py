"""Command: measure against plain PyTorch."""

from dataclasses import dataclass
from pathlib import Path

from rich.markdown import Markdown

from voltween.benchmarks import Part, Settings, run_suite, write_report
from voltween.cli.console import console
from voltween.cli.progress import changing_line
from voltween.cli.results import report_written


@dataclass(frozen=True)
class Bench:
    """Measure operations, cascades and trainings against PyTorch.

    Writes performance.md and results.json. It takes most of an hour on two cores, the
    part "growth" alone about ten minutes; close other programs first.
    """

    out: Path = Path("bench")
    """Folder for the results; made if missing."""
    sizes: tuple[int, ...] = ()
    """Sides of the cubes in voxels, multiples of 8: all tables use the first, the table
    of growth uses all, those above 256 for the whole command only. If not given, 128 64
    96 192 256 512."""
    parts: tuple[Part, ...] = ()
    """Measure only these parts; if not given, all."""
    quick: bool = False
    """Measure one cascade with few repetitions, on sides of 32 and 16 voxels if --sizes
    is not given."""

    def run(self) -> None:
        """Measure, show, write."""
        settings = Settings(self.sizes, self.parts, self.quick)
        with changing_line("Measuring ...") as show:
            results = run_suite(
                settings, on_part=lambda part: show(f"Measuring {part} ...")
            )
        page = write_report(results, self.out)
        console.print(Markdown(page), soft_wrap=False)
        report_written(self.out / "performance.md")
