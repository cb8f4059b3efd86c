"""ITK's transform files of text (.tfm, .txt) and of MATLAB's first format (.mat)."""

from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np

from voltween.errors import InputError
from voltween.io.transform_records import TransformRecord

_HEADER = "#Insight Transform File V1.0"
_FIXED_NAME = "fixed"  # of a matrix in a .mat file


def read_text_records(path: Path) -> list[TransformRecord]:
    """Reads the transforms of a text file; `path` is not named in errors.

    Raises:
        InputError: If a line is none of such a file, or a number is none.
    """
    records: list[TransformRecord] = []
    for key, value in _lines(path):
        if key == "Transform":
            records.append(TransformRecord(value, np.empty(0), np.empty(0)))
        elif records and key == "Parameters":
            records[-1] = records[-1]._replace(parameters=_numbers(value))
        elif records and key == "FixedParameters":
            records[-1] = records[-1]._replace(fixed=_numbers(value))
        else:
            raise _damaged(f"a line that begins with {key[:40]!r}")
    return records


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yields the key and the value of every line that is no comment."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise _damaged("bytes that are no text") from error
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            key, _, value = line.partition(":")
            yield key.strip(), value.strip()


def _numbers(text: str) -> np.ndarray:
    try:
        return np.array(text.split(), dtype=np.float64)
    except ValueError as error:
        raise _damaged(f"a parameter that is no number ({error})") from error


def _damaged(got: str) -> InputError:
    return InputError(
        expected="the lines of an ITK transform (Transform, Parameters, "
        "FixedParameters)",
        got=got,
    )


def format_records(records: Sequence[TransformRecord]) -> str:
    """The text of a file with these transforms."""
    lines = [_HEADER]
    for number, record in enumerate(records):
        lines += [f"#Transform {number}", f"Transform: {record.kind}"]
        if record.parameters.size:
            lines += [
                f"Parameters: {_text(record.parameters)}",
                f"FixedParameters: {_text(record.fixed)}",
            ]
    return "\n".join(lines) + "\n"


def _text(numbers: np.ndarray) -> str:
    return " ".join(map(repr, numbers.tolist()))


def read_matlab_records(path: Path) -> list[TransformRecord]:
    """Reads the transform of a .mat file: its parameters and a matrix `fixed`.

    Raises:
        InputError: If there are other matrices, or the file is damaged.
    """
    from scipy.io import matlab  # takes 0.1 s, and few files are of this format

    stored = BytesIO(path.read_bytes())
    try:
        names = [name for name, *_ in matlab.whosmat(stored)]
        if len(names) != 2 or names[1] != _FIXED_NAME:
            raise InputError(
                expected="one ITK transform: its parameters, and a matrix named "
                f"{_FIXED_NAME!r}",
                got=f"matrices named {', '.join(map(repr, names[:6])) or 'nothing'}",
            )
        matrices = matlab.loadmat(stored)
        parameters, fixed = (_real(matrices[name]) for name in names)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # SciPy has no error of its own for damaged files
        raise InputError(
            expected="an ITK transform as a MATLAB file",
            got="a file that is damaged or cut short",
        ) from error
    return [TransformRecord(names[0], fixed, parameters)]


def _real(matrix: np.ndarray) -> np.ndarray:
    if matrix.dtype.kind not in "fiu":
        raise ValueError(f"a matrix of {matrix.dtype}")
    return matrix.ravel(order="F").astype(np.float64)
