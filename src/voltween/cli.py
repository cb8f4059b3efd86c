"""The command line: one dataclass a subcommand; the text under a field is its help."""

import logging
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.markdown import Markdown
from tyro.conf import Positional

from voltween import console, io
from voltween.checkpoint import installed_models, load_model
from voltween.cli_alignment import Align
from voltween.cli_evaluation import Compare, Evaluate, Experiment
from voltween.cli_figures import Figures
from voltween.cli_preparation import Prepare
from voltween.cli_registration import DEFAULT_MODEL, Register
from voltween.cli_training import Plan, Train, train_command
from voltween.demo import run_demo
from voltween.errors import InputError
from voltween.volume import Volume, looks_like_labels

_POINT_SUFFIXES = (".csv", ".fcsv", ".json")


@dataclass(frozen=True)
class Apply:
    """Apply a transform to an image, a label map or points.

    fixed_to_moving carries images from moving to fixed, onto the grid of --onto, but
    points from fixed to moving. For the other way take moving_to_fixed.
    """

    transform: Annotated[Positional[Path], tyro.conf.arg(metavar="TRANSFORM")]
    """ITK transform (.h5, .tfm, .txt, .mat) or displacement field image."""
    input: Annotated[Positional[Path], tyro.conf.arg(metavar="INPUT")]
    """Image, label map, or points (.csv, .fcsv, .mrk.json)."""
    out: Path
    """File to write."""
    onto: Path | None = None
    """Image whose grid the result gets; needed for images and label maps."""
    labels: bool = False
    """INPUT is a label map: nearest neighbour, whole numbers."""
    frame: str | None = None
    """Frame of a CSV of points, RAS or LPS, if it does not say so itself."""

    def run(self) -> None:
        """Transform and write."""
        transform = io.read_transform(self.transform)
        if self.input.name.endswith(_POINT_SUFFIXES):
            points = transform.map_points(io.read_points(self.input, self.frame))
            io.write(points, self.out)
            console.show_points(self.transform, points)
        elif self.onto is None:
            raise InputError("--onto FIXED is needed to apply a transform to an image")
        else:
            volume = self._read_volume()
            onto = io.read(self.onto).grid
            io.write(transform.resample(volume, onto=onto), self.out)
        console.console.print(f"Wrote {self.out}")

    def _read_volume(self) -> Volume:
        if self.labels:
            return io.read_labels(self.input)
        image = io.read(self.input)
        if looks_like_labels(image.data):
            warnings.warn(
                f"{self.input} looks like a label map and is interpolated as an image, "
                "which mixes labels: give --labels if that is not what you want",
                stacklevel=2,
            )
        return image


@dataclass(frozen=True)
class Models:
    """List the installed models: what they are for, trained on what, measured how."""

    def run(self) -> None:
        """List."""
        console.show_models(list(installed_models()))


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
        from voltween.benchmarks.report import write_report
        from voltween.benchmarks.suite import Settings, run_suite

        settings = Settings(self.sizes, self.quick)
        with console.console.status("Measuring ...") as status:
            results = run_suite(
                settings, on_part=lambda part: status.update(f"Measuring {part} ...")
            )
        page = write_report(results, self.out)
        console.console.print(Markdown(page), soft_wrap=False)
        console.console.print(f"Wrote {self.out / 'performance.md'}")


_COMMANDS = (
    Register,
    Apply,
    Align,
    Prepare,
    Plan,
    Train,
    Evaluate,
    Compare,
    Experiment,
    Figures,
    Models,
    Demo,
    Bench,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exit code 2 and one line for what the user can mend."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    commands: dict[str, Callable[..., Any]] = {
        kind.__name__.lower(): kind for kind in _COMMANDS
    }
    try:
        command = _read(commands, arguments)
        if isinstance(command, Train):  # defaults depend on the network it names
            own = {"train": train_command(command.network)}
            command = _read(commands | own, arguments)
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            command.run()
    except (InputError, OSError) as error:  # such as a full disk
        console.error_console.print(f"voltween: {error}", markup=False)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _read(
    commands: dict[str, Callable[..., Any]], arguments: Sequence[str] | None
) -> Any:
    """The command that the arguments ask for."""
    return tyro.extras.subcommand_cli_from_dict(
        commands,
        prog="voltween",
        description="Register 3D medical images with Volume Tweening Networks.",
        args=arguments,
    )


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    console.error_console.print(f"voltween: warning: {message}", markup=False)
