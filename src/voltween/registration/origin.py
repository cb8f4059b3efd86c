"""The origin of a result: files, command and warnings, for registration.json."""

import platform
import shlex
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from voltween.storage import content_digest


@dataclass(frozen=True)
class Origin:
    """The files and the command that a result comes from."""

    inputs: Mapping[str, Sequence[Path]] = field(default_factory=dict)
    """The files or DICOM folders that were read, by their roles, such as fixed."""
    model_digest: str | None = None
    """SHA-256 of the model's file."""
    command: Sequence[str] = ()
    """The words of the command."""
    warnings: Sequence[str] = ()
    """The warnings so far; `recording_warnings` adds to them."""
    structures: Mapping[int, str] = field(default_factory=dict)
    """Names of structures by label."""

    def facts(self) -> dict[str, Any]:
        """Inputs with their SHA-256, command and date, as registration.json has them.

        The SHA-256 of a DICOM folder is that of its files' contents, one after another
        in the order of their names.
        """
        return {
            "inputs": {
                role: [_file_facts(path) for path in paths]
                for role, paths in self.inputs.items()
                if paths
            },
            "command": shlex.join(self.command) or None,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
        }

    def structure_name(self, label: int) -> str:
        """The structure's name, with the label if others share it; else the label."""
        name = self.structures.get(label, "")
        is_shared = list(self.structures.values()).count(name) > 1
        return f"{name} {label}" if name and is_shared else name or str(label)


@contextmanager
def recording_warnings() -> Iterator[list[str]]:
    """Yields a list to which every warning in the block adds its text, once.

    Warnings are shown as before, too.
    """
    texts: list[str] = []
    with warnings.catch_warnings():
        show = warnings.showwarning

        def show_and_keep(message: Warning | str, *rest: Any, **more: Any) -> None:
            if str(message) not in texts:
                texts.append(str(message))
            show(message, *rest, **more)

        warnings.showwarning = show_and_keep
        yield texts


def versions() -> dict[str, str]:
    """Versions of the software that determines a result's numbers."""
    packages = ("voltween", "torch", "SimpleITK", "numpy")
    return {name: version(name) for name in packages} | {
        "python": platform.python_version(),
        "threads": str(torch.get_num_threads()),
    }


def _file_facts(path: Path) -> dict[str, str]:
    return {"path": str(path), "sha256": content_digest(path)}
