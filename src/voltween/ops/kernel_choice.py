"""The instruction set of every exact kernel: measured once per processor, then kept.

The newest instruction set of a processor is not always its fastest. So the exact
kernels (`src/native/kernels.h`: all but Winograd's), whose results have the same bits
with every set, are tried with all sets when they are needed for the first time: some
milliseconds per kernel and class of sizes. The choices are kept in a file of the cache
folder, one per processor and build of the kernels; several processes can share it.
Where it cannot be written, every process tries for itself.
"""

import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from voltween.ops.native import native
from voltween.process import INSTRUCTIONS
from voltween.storage import cache_folder, stream_digest, text_digest, workspace

_WANTED = os.environ.get(INSTRUCTIONS, "")
_in_use: dict[str, str] = {}


def kernel_choices() -> Mapping[str, str]:
    """The instruction sets chosen so far in this process.

    The keys name a kernel, its precision and a class of sizes, such as
    'warp float32, large'. There are none where VOLTWEEN_INSTRUCTIONS names the set.
    """
    return MappingProxyType(_in_use)


def instruction_set() -> str:
    """The instruction set of Winograd's kernels, which are not chosen by measurement.

    It is 'avx512', 'avx2' or 'plain': the newest one of the processor, unless the
    environment variable VOLTWEEN_INSTRUCTIONS named another, for all kernels, when
    voltween was imported. It is 'none' without the compiled operations.
    """
    return native.instruction_set() if native else "none"


def instruction_sets() -> list[str]:
    """The instruction sets of this processor, the newest first.

    There are none without the compiled operations.
    """
    return native.instruction_sets() if native else []


@contextmanager
def using_instructions(name: str) -> Iterator[None]:
    """Lets all kernels use one instruction set of this processor, in all threads."""
    native.use(name)
    try:
        yield
    finally:
        native.use(_WANTED)


def decide(
    kernel: str,
    measure: Callable[[], dict[str, float]],
    names: Sequence[str] | None = None,
) -> str:
    """Returns the fastest form of a kernel: for the native module, an instruction set.

    Args:
        kernel: Name of the kernel, its precision and the class of sizes.
        measure: Tries the kernel; returns the seconds that each form took.
        names: Names of the forms; None for the instruction sets of this processor.
    """
    name = _kept().get(kernel, "")
    if name not in (instruction_sets() if names is None else names):
        seconds = measure()
        name = min(seconds, key=seconds.__getitem__)
        _keep(kernel, name)
    _in_use[kernel] = name
    return name


def _kept() -> dict[str, str]:
    """The choices of the file; none if it is missing, damaged or of another build."""
    with suppress(OSError, ValueError, RecursionError):
        record = json.loads(_file().read_text(encoding="utf-8"))
        if isinstance(record, dict) and _build() == record.get("build"):
            choices = record.get("choices")
            pairs = choices.items() if isinstance(choices, dict) else ()
            return {kernel: name for kernel, name in pairs if isinstance(name, str)}
    return {}


def _keep(kernel: str, name: str) -> None:
    """Adds a choice to the file, if it can be written.

    Of two processes that write at once, one loses its choice and tries again later.
    """
    record = {"build": _build(), "choices": _kept() | {kernel: name}}
    with suppress(OSError):
        file = _file()
        file.parent.mkdir(parents=True, exist_ok=True)
        with workspace(file.parent) as room:
            partial = room / file.name
            partial.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
            partial.replace(file)


def _file() -> Path:
    """The file for this processor and build, in the cache folder.

    Raises:
        OSError: If there is no home to have a cache folder in.
    """
    return cache_folder() / "kernels" / f"{text_digest(json.dumps(_build()))[:16]}.json"


@cache
def _build() -> dict[str, Any]:
    """The facts that a choice depends on: the processor and the compiled kernels.

    Without these, nobody says which processor it is: the name of the machine stands
    for it.
    """
    if not native:
        return {"processor": platform.node(), "module": "none"}
    with Path(native.__file__).open("rb") as module:
        return {"processor": native.processor(), "module": stream_digest(module)}
