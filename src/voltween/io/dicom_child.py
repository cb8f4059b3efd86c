"""Script that decompresses DICOM files by GDCM in a separate process.

GDCM can crash on damaged files, or take for ever. The script imports nothing of
Voltween, so that it starts quickly. It takes requests as lines of JSON and answers each
with a line of JSON that the bytes of the voxels follow. It ends where its input ends,
and with a request that takes longer than its limit.
"""

import faulthandler
import json
import os
import sys
from contextlib import suppress
from typing import Any, BinaryIO

import SimpleITK as sitk

_OUTPUT, _ERRORS = 1, 2  # file descriptors


def _answer(request: dict[str, Any], lines: BinaryIO, replies: BinaryIO) -> None:
    """Reads a file and writes its voxels, or why it cannot be read."""
    _limit_memory(request["most_bytes"])
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        faulthandler.dump_traceback_later(request["seconds"], exit=True, file=nowhere)
        try:
            array, error = sitk.GetArrayFromImage(_read(request["path"])), ""
        except (RuntimeError, MemoryError) as caught:
            array, error = None, str(caught) or "too little memory"
        finally:
            faulthandler.cancel_dump_traceback_later()
    reply: dict[str, Any] = {"error": error, "lines": _take(lines)}
    if array is not None:
        reply |= {"dtype": array.dtype.str, "shape": array.shape}
    replies.write(json.dumps(reply).encode() + b"\n")
    if array is not None:
        replies.write(array.data)
    replies.flush()


def _read(path: str) -> sitk.Image:
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(path)
    return reader.Execute()


def _limit_memory(most_bytes: int) -> None:
    """Lets no header make the process take all of the machine's memory."""
    with suppress(ImportError, OSError, ValueError):  # Windows, macOS
        import resource

        most = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most))


def _take(lines: BinaryIO) -> str:
    """The text that libraries have written since the last call."""
    lines.seek(0)
    text = lines.read().decode(errors="replace")
    lines.seek(0)
    lines.truncate()
    return text


def _main() -> None:
    import tempfile

    replies = os.fdopen(os.dup(_OUTPUT), "wb")
    with tempfile.TemporaryFile() as lines:
        for stream in (_OUTPUT, _ERRORS):  # libraries write to both
            os.dup2(lines.fileno(), stream)
        for line in sys.stdin.buffer:
            _answer(json.loads(line), lines, replies)


if __name__ == "__main__":
    _main()
