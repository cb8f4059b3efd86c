"""Command: draw the paper's figures from scans and saved results."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.conf import Positional

from voltween import io
from voltween.batches import number_by_names
from voltween.cli.progress import changing_line
from voltween.cli.results import report_written
from voltween.cohorts import read_manifest
from voltween.errors import InputError
from voltween.models import load_model
from voltween.process import require
from voltween.registration import register_by_network
from voltween.spatial import check_labels_on_scan
from voltween.storage import check_is_no_input, folder_of

if TYPE_CHECKING:  # only drawing needs Matplotlib, which takes 0.5 s to import
    from matplotlib.figure import Figure

    from voltween.evaluation import ComparedPair
    from voltween.registration.tweening_figure import Structures


@dataclass(frozen=True)
class Tweening:
    """Render fixed, moving, the moving scan after each stage, and its grid in 3D.

    The scans are registered first, because a result folder does not hold the stages.
    Needs voltween[figures].
    """

    fixed: Annotated[Positional[Path], tyro.conf.arg(metavar="FIXED")]
    """Scan to register to."""
    moving: Annotated[Positional[Path], tyro.conf.arg(metavar="MOVING")]
    """Scan to be registered."""
    model: str
    """Shipped model or model file."""
    out: Path
    """File to write, .png or .pdf."""
    fixed_labels: Path | None = None
    """Label map of the fixed scan, to show structures as colored surfaces."""
    moving_labels: Path | None = None
    """Label map of the moving scan."""
    structures: tuple[int, ...] = ()
    """Labels to show, up to six; if not given, all."""
    style: Literal["surface", "volume"] = "surface"
    """Surfaces with an octant cut away, or transparent volumes as in the paper."""

    def figure(self) -> "Figure":
        """Register and render.

        Raises:
            InputError: If a file cannot be used, or PyVista is not installed.
        """
        from voltween.figures import import_pyvista
        from voltween.registration.tweening_figure import tweening_figure

        import_pyvista()  # report a missing package before a minute of work
        structures = self._structures()
        fixed, moving = io.read(self.fixed), io.read(self.moving)
        if structures is not None:
            check_labels_on_scan(structures.fixed, fixed.grid, name=self.fixed_labels)
            check_labels_on_scan(
                structures.moving, moving.grid, name=self.moving_labels
            )
        registration = register_by_network(fixed, moving, load_model(self.model))
        return tweening_figure(registration, structures, style=self.style)

    def _structures(self) -> "Structures | None":
        from voltween.registration.tweening_figure import Structures

        if self.fixed_labels is None or self.moving_labels is None:
            if self.fixed_labels or self.moving_labels or self.structures:
                raise InputError(
                    about="--structures",
                    expected="--fixed-labels and --moving-labels",
                    got="not both",
                )
            return None
        fixed = io.read_labels(self.fixed_labels)
        moving = number_by_names(
            io.read_labels(self.moving_labels), self.fixed_labels, self.moving_labels
        )
        return Structures(fixed, moving, self.structures or fixed.labels)


@dataclass(frozen=True)
class Compared:
    """Options for a pair of a comparison."""

    folder: Annotated[Positional[Path], tyro.conf.arg(metavar="COMPARISON")]
    """Folder of a finished `voltween compare --keep-transforms`, or of a table of an
    experiment."""
    manifest: Annotated[Positional[Path], tyro.conf.arg(metavar="MANIFEST")]
    """CSV of the cases that were compared."""
    out: Path
    """File to write, .png or .pdf."""
    pair: tuple[str, str] | None = None
    """Fixed and moving case; if not given, the median pair by IoU of the first model,
    or of the best method if there is no model."""

    def read(self, methods: tuple[str, ...] = ()) -> "ComparedPair":
        """Reads the pair with the answers of these methods, or of all.

        Raises:
            InputError: If it cannot be read.
        """
        from voltween.evaluation import read_compared_pair

        cases = read_manifest(self.manifest)
        return read_compared_pair(self.folder, cases, self.pair, methods=methods)


@dataclass(frozen=True)
class Sections(Compared):
    """Draw sections through structures: fixed, moved, and overlaid masks, by method."""

    structures: tuple[int, ...] = ()
    """Labels; if not given, the three largest."""

    def figure(self) -> "Figure":
        """Read and draw."""
        from voltween.evaluation.pair_figures import structures_figure

        return structures_figure(self.read(), self.structures)


@dataclass(frozen=True)
class Methods(Compared):
    """Draw sections and masks by method, with landmarks (figures 8, 9, 11 to 13)."""

    methods: tuple[str, ...] = ()
    """Methods to show, in this order; if not given, all."""
    landmarks: tuple[int, ...] = ()
    """Numbers of the landmarks, from 1; if not given, the first three."""
    structures: tuple[int, ...] = ()
    """Labels whose union is the mask; if not given, all. Without landmarks, sections go
    through their centers."""

    def figure(self) -> "Figure":
        """Read and draw."""
        from voltween.evaluation.pair_figures import methods_figure

        return methods_figure(
            self.read(self.methods),
            landmarks=self.landmarks,
            structures=self.structures,
        )


@dataclass(frozen=True, kw_only=True)
class Stages(Compared):
    """Draw sections and masks by stage of a model, with landmarks (figure 10).

    The pair is registered again, because a comparison does not keep the stages.
    """

    method: str
    """Model of the comparison, as it is named there."""
    landmarks: tuple[int, ...] = ()
    """Numbers of the landmarks, from 1; if not given, the first three."""
    structures: tuple[int, ...] = ()
    """Labels whose union is the mask; if not given, all. Without landmarks, sections go
    through their centers."""

    def figure(self) -> "Figure":
        """Read, register and draw."""
        from voltween.evaluation.pair_figures import stages_figure

        return stages_figure(
            self.folder,
            self.read((self.method,)),
            landmarks=self.landmarks,
            structures=self.structures,
        )


@dataclass(frozen=True)
class Jacobian(Compared):
    """Draw maps of volume change by method, as log2, with the voxels that fold."""

    def figure(self) -> "Figure":
        """Read and draw."""
        from voltween.evaluation.jacobian_figure import jacobian_figure

        return jacobian_figure(self.read())


@dataclass(frozen=True)
class Curves:
    """Draw loss and validation of training runs in one picture."""

    runs: Annotated[Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RUN")]
    """Folders of runs."""
    out: Path
    """File to write, .png or .pdf."""

    def figure(self) -> "Figure":
        """Read and draw."""
        from voltween.training import curves_figure

        return curves_figure(self.runs)


Kind = (
    Annotated[Tweening, tyro.conf.subcommand("tweening")]
    | Annotated[Sections, tyro.conf.subcommand("sections")]
    | Annotated[Methods, tyro.conf.subcommand("methods")]
    | Annotated[Stages, tyro.conf.subcommand("stages")]
    | Annotated[Jacobian, tyro.conf.subcommand("jacobian")]
    | Annotated[Curves, tyro.conf.subcommand("curves")]
)


@dataclass(frozen=True)
class Figures:
    """Draw figures of a paper: cascade in 3D, sections, maps, curves."""

    kind: Annotated[Kind, tyro.conf.arg(name="")]

    def run(self) -> None:
        """Draw and write.

        Raises:
            MissingPackageError: If Matplotlib is not installed.
        """
        require("matplotlib", extra="figures", purpose="figures")
        from voltween.figures.figure_file import check_figure_path, write_figure

        check_figure_path(self.kind.out)
        check_is_no_input(self.kind.out)
        with folder_of(self.kind.out):
            with changing_line("Drawing ..."):
                figure = self.kind.figure()
            write_figure(figure, self.kind.out)
        report_written(self.kind.out)
