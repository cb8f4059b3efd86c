"""Decompresses DICOM files in a child process, which may crash or take for ever."""

import json
import math
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from voltween.errors import InputError, MemoryShortageError, SuspiciousInputWarning
from voltween.io.dicom_slices import Slice
from voltween.process import starting_deaf_processes

_CHILD = Path(__file__).with_name("dicom_child.py")
_SECONDS = 30.0
_SECONDS_PER_VOXEL = 1e-6  # decoders take a tenth of that
_LIBRARIES_BYTES = 2_000_000_000  # address space, most of which is not used
_BYTES_PER_VOXEL = 64  # GDCM and ITK hold several copies, as double precision
_ONE_THREAD = {"ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"}  # each takes addresses
_MOST_VOXELS_PER_BYTE = 10_000  # of an empty plane, packed by JPEG 2000: 2000
# GDCM only warns of these, and fills the rest of the image with something.
_DAMAGE = ("corrupt", "premature", "inconsistent", "too short")


def decompress(parts: Sequence[Slice]) -> list[np.ndarray]:
    """The values of the files of these slices, (I, J, planes) each.

    They are scaled as each file says.

    Raises:
        InputError: If a file is damaged; it is named.
        MemoryShortageError: If there is too little memory to decompress it.
    """
    with _child() as process:
        return [_decompress(part, process) for part in parts]


@contextmanager
def _child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that decompresses files; it ends with the block."""
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
    command = [sys.executable, str(_CHILD)]
    with starting_deaf_processes():
        process = subprocess.Popen(command, env=os.environ | _ONE_THREAD, **pipes)
    with process:
        try:
            yield process
        finally:
            process.kill()
            with suppress(BrokenPipeError):  # of a question that it did not take
                _pipes(process)[0].close()


def _decompress(part: Slice, process: subprocess.Popen[bytes]) -> np.ndarray:
    voxels = math.prod(part.shape) * part.planes
    if voxels > _MOST_VOXELS_PER_BYTE * part.path.stat().st_size:
        raise _damaged(part)
    request = {
        "path": str(part.path.resolve()),
        "seconds": _SECONDS + _SECONDS_PER_VOXEL * voxels,
        "most_bytes": _LIBRARIES_BYTES + _BYTES_PER_VOXEL * voxels,
    }
    reply, values = _ask(request, process)
    if "memory" in reply["error"].lower() or "bad_alloc" in reply["error"]:
        raise MemoryShortageError(
            about=part.path.name,
            expected="enough memory to decompress it",
            got="too little",
        )
    says_damage = any(word in reply["lines"].lower() for word in _DAMAGE)
    if values is None or says_damage or values.shape != (*part.shape, part.planes):
        raise _damaged(part)
    for line in dict.fromkeys(reply["lines"].splitlines()):
        warnings.warn(f"{part.path}: {line}", SuspiciousInputWarning, stacklevel=2)
    return values


def _ask(
    request: dict[str, Any], process: subprocess.Popen[bytes]
) -> tuple[dict[str, Any], np.ndarray | None]:
    """The reply of the child, and the values (I, J, planes) if there are any."""
    questions, answers = _pipes(process)
    try:
        questions.write(json.dumps(request).encode() + b"\n")
        questions.flush()
        reply = json.loads(answers.readline())
    except (BrokenPipeError, ValueError):  # it has crashed, or has ended in time
        return {"error": "crash", "lines": ""}, None
    if "shape" not in reply:
        return reply, None
    dtype, shape = np.dtype(reply["dtype"]), reply["shape"]
    content = answers.read(math.prod(shape) * dtype.itemsize)
    if len(content) < math.prod(shape) * dtype.itemsize:
        return reply, None
    values = np.frombuffer(content, dtype).reshape(shape).T
    return reply, values.reshape(*values.shape[:2], -1)


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None:
        raise ValueError("a process without pipes")
    return process.stdin, process.stdout


def _damaged(part: Slice) -> InputError:
    return InputError(
        about=part.path.name,
        expected="a whole DICOM file",
        got="one that is damaged, or compressed in a way that GDCM cannot read",
    )
