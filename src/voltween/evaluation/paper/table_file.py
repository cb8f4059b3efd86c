"""Tables of the paper as TOML files: the rows, and the published numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voltween.errors import InputError
from voltween.evaluation.paper.settings import ExperimentSettings
from voltween.models import dataclass_from_facts
from voltween.storage import naming, read_toml

VOXELMORPH_2 = "VoxelMorph-2"
TABLES = Path(__file__).with_name("tables")
"""Folder of the tables that are installed with the package."""
PAPER_COLUMNS = ("iou", "landmark_distance", "gpu_seconds", "cpu_seconds")


@dataclass(frozen=True)
class TableRow:
    """A row of a table: a tool, or a network with its training.

    Raises:
        InputError: If it is neither or both, or a value is out of range.
    """

    name: str
    method: str | None = None
    """Name of a method that needs no training, such as "ants"."""
    network: str | None = None
    """Stages of a cascade, such as "ADD", or "VoxelMorph-2"."""
    aligned: bool = False
    """Whether ANTs first aligns the scans to an atlas: the paper's starred rows."""
    supervised: bool = False
    """Whether the network learns flows computed by ANTs."""
    invertibility: float = 0.0
    """Weight of the invertibility loss."""
    train_share: float = 1.0
    """Share of the training cases."""
    train: tuple[str, ...] = ()
    """Cohorts to train on, by the column cohort of the manifest; all if empty."""
    paper: Mapping[str, float] = field(default_factory=dict)
    """The published numbers, by the names in `PAPER_COLUMNS`."""

    def __post_init__(self) -> None:
        if (self.method is None) == (self.network is None):
            raise InputError(
                about=f"row {self.name!r}",
                expected="either a method or a network",
                got=f"{self.method!r} and {self.network!r}",
            )
        if not 0 < self.train_share <= 1:
            raise InputError(
                about=f"row {self.name!r}, train_share",
                expected="a number above 0 and at most 1",
                got=self.train_share,
            )

    @property
    def method_name(self) -> str:
        """Name of the row's method, equal for equal rows of different tables."""
        if self.method is not None:
            return self.method
        parts = [self.network or ""]
        if self.aligned:
            parts.append("aligned")
        if self.supervised:
            parts.append("supervised")
        if self.invertibility:
            parts.append(f"invertibility-{self.invertibility:g}")
        if self.train:
            parts.append(f"on-{'-'.join(self.train)}")
        if self.train_share < 1:
            parts.append(f"share-{self.train_share:g}")
        return "-".join(parts)


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper.

    Raises:
        InputError: If two rows have the same name or are the same.
    """

    name: str
    title: str
    rows: tuple[TableRow, ...]
    iou_union: bool = False
    """Whether the table shows the IoU of all labels united: the paper's organ."""
    settings: ExperimentSettings = field(default_factory=ExperimentSettings)

    def __post_init__(self) -> None:
        for kind in ("name", "method_name"):
            values = [getattr(row, kind) for row in self.rows]
            if len(set(values)) < len(values):
                raise InputError(
                    about=self.name, expected="rows that differ", got=values
                )


def read_experiment(table: Path) -> PaperTable:
    """Reads the table in a TOML file, or an installed one such as `table_4`.

    Raises:
        InputError: If the file is missing or of another kind, or a row is not valid.
    """
    path = table if table.suffix else _installed_table(table.name)
    content = read_toml(path, "a table in TOML")
    try:
        rows = content.pop("row")
        with naming(path):
            facts = content | {"name": path.stem, "rows": _rows(rows)}
            return dataclass_from_facts(PaperTable, facts)
    except (KeyError, TypeError) as error:
        raise InputError(
            about=path,
            expected="a table (TOML with a title and [[row]]s)",
            got=f"something else ({error})",
        ) from error


def _rows(rows: Sequence[Mapping[str, Any]]) -> tuple[TableRow, ...]:
    return tuple(
        dataclass_from_facts(TableRow, values, f"row[{number}]")
        for number, values in enumerate(rows, 1)
    )


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
