"""Tables of the paper as TOML files: the rows, and the published numbers."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from voltween.errors import InputError
from voltween.files import existing_file, naming
from voltween.models import dataclass_from_facts

VOXELMORPH_2 = "VoxelMorph-2"
TABLES = Path(__file__).with_name("tables")
"""Folder of the tables that are installed with the package."""
PAPER_COLUMNS = ("iou", "landmark_distance", "gpu_seconds", "cpu_seconds")


@dataclass(frozen=True)
class Row:
    """A row of a table: a tool, or a network and how it is trained.

    Raises:
        InputError: If it is neither or both.
    """

    name: str
    method: str | None = None
    """Name of a method that needs no training, such as "ants"."""
    network: str | None = None
    """Stages of a cascade, such as "ADD", or "VoxelMorph-2"."""
    aligned: bool = False
    """Scans are first laid on an atlas by ANTs: the paper's starred rows."""
    supervised: bool = False
    """Learns flows that ANTs finds."""
    invertibility: float = 0.0
    """Weight of the invertibility loss."""
    train_share: float = 1.0
    """Share of the training cases."""
    paper: Mapping[str, float] = field(default_factory=dict)
    """What the paper has there, by the names in `PAPER_COLUMNS`."""

    def __post_init__(self) -> None:
        if (self.method is None) == (self.network is None):
            raise InputError(
                f"row {self.name!r} must have either a method or a network, got "
                f"{self.method!r} and {self.network!r}"
            )
        if not 0 < self.train_share <= 1:
            raise InputError(
                f"row {self.name!r}: train_share must be above 0 and at most 1, got "
                f"{self.train_share}"
            )

    @property
    def method_name(self) -> str:
        """The same for rows, of whatever table, that are the same."""
        if self.method is not None:
            return self.method
        parts = [self.network or ""]
        parts += ["aligned"] * self.aligned + ["supervised"] * self.supervised
        if self.invertibility:
            parts.append(f"invertibility-{self.invertibility:g}")
        if self.train_share < 1:
            parts.append(f"share-{self.train_share:g}")
        return "-".join(parts)


@dataclass(frozen=True)
class Experiment:
    """A table of the paper.

    Raises:
        InputError: If two rows have the same name or are the same.
    """

    name: str
    title: str
    rows: tuple[Row, ...]

    def __post_init__(self) -> None:
        for kind in ("name", "method_name"):
            values = [getattr(row, kind) for row in self.rows]
            if len(set(values)) < len(values):
                raise InputError(f"{self.name}: rows must differ, got {values}")


def read_experiment(table: Path) -> Experiment:
    """Reads the experiment in a TOML file, or an installed one such as `table_4`.

    Raises:
        InputError: If the file is missing or no such file, or a row is not legal.
    """
    path = table if table.suffix else _installed_table(table.name)
    try:
        content = tomllib.loads(existing_file(path).read_text())
        with naming(path):
            rows = tuple(
                dataclass_from_facts(Row, values, f"row[{number}]")
                for number, values in enumerate(content["row"], 1)
            )
        return Experiment(path.stem, content["title"], rows)
    except (tomllib.TOMLDecodeError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: expected an experiment (TOML with a title and [[row]]s), got "
            f"something else ({error})"
        ) from error


def _installed_table(name: str) -> Path:
    path = TABLES / f"{name}.toml"
    if not path.is_file():
        names = ", ".join(sorted(table.stem for table in TABLES.glob("*.toml")))
        raise InputError(
            about=name,
            expected=f"a TOML file or an installed table ({names})",
            got="neither",
        )
    return path
