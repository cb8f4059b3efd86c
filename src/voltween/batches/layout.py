"""The names of a pair's files in the folder of a cohort."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from voltween.registration import OUTPUTS

CASES = "cases"
"""The folder of the results, one folder per pair."""
RECORDS, FAILED = "records", "failed"
"""The folders of the records of pairs that were registered, and that could not be."""
THUMBNAILS = "thumbnails"
"""The folder of the pictures of the index."""
PARTS = "parts"
"""The folder of the states of runs that do a share of the pairs."""


class Layout(ABC):
    """The places of the files of one result, relative to the folder of the cohort."""

    @property
    @abstractmethod
    def folder(self) -> str:
        """The folder to which the registration is written."""

    @property
    @abstractmethod
    def shown_folder(self) -> str:
        """The folder in which a user finds the files."""

    @property
    @abstractmethod
    def report(self) -> str:
        """The path of the page of the pair."""

    @abstractmethod
    def arrange(self, root: Path) -> None:
        """Gives the files below `root` their names."""

    @abstractmethod
    def facts(self) -> dict[str, str]:
        """The facts that tell the layout from others, as JSON types."""


@dataclass(frozen=True)
class FolderLayout(Layout):
    """One folder per pair, as `voltween register` writes it."""

    name: str

    @property
    def folder(self) -> str:
        """The folder of the result."""
        return f"{CASES}/{self.name}"

    @property
    def shown_folder(self) -> str:
        """The same folder."""
        return self.folder

    @property
    def report(self) -> str:
        """The page among the files of the result."""
        return f"{self.folder}/{OUTPUTS['report'].file}"

    def arrange(self, root: Path) -> None:
        """Leaves everything as it is."""

    def facts(self) -> dict[str, str]:
        """The folder."""
        return {"folder": self.folder}
