"""The process that reads mutants, and the one that asks ITK and nibabel.

It takes requests as lines of JSON and answers with lines of JSON, until its input ends.
A request that ends the process is the last one that was begun.
"""

import json
import os
import resource
import shutil
import sys
import time
import traceback
import warnings
from pathlib import Path

import numpy as np

from fuzz import readings, rivals
from fuzz.mutants import make_mutant
from fuzz.subjects import BY_NAME

MEMORY_BYTES = 400_000_000
"""Memory that reading a mutant of some kilobytes may take."""
_ADDRESS_BYTES = 4_000_000_000


class Reader:
    """Reads mutants by the package."""

    def __init__(self, folder):
        self.folder = folder
        self.originals = {}

    def answer(self, request):
        """The outcome of one mutant, after a line that says which one it is."""
        subject = BY_NAME[request["reader"]]
        files, primary, expected = self._original(subject)
        mutant = make_mutant(subject, files, primary, request["seed"])
        place = self.folder / "mutant"
        shutil.rmtree(place, ignore_errors=True)
        write_files(place, mutant.files)
        yield {"what": mutant.what}
        yield self._outcome(subject, mutant, place / mutant.primary, expected)

    def _outcome(self, subject, mutant, path, expected):
        started, before = time.monotonic(), _reset_peak()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            kind, detail, reading = _attempt(subject, path)
        grown = _peak_bytes() - before
        outcome = {
            "kind": kind,
            "detail": detail,
            "is_damage": mutant.is_damage,
            "told": [str(w.message)[:300] for w in told],
            "path": str(path),
            "rival": subject.rival,
            "seconds": round(time.monotonic() - started, 3),
        }
        if grown > MEMORY_BYTES:
            return outcome | {"kind": "memory", "detail": f"{grown / 1e6:.0f} MB"}
        if kind == "silent" and told:
            return outcome | {"kind": "told"}
        if kind == "read" and _are_same(reading, expected):
            return outcome | {"kind": "same"}
        if kind == "read":
            np.savez(self.folder / "reading.npz", **reading)
        return outcome

    def _original(self, subject):
        if subject.name not in self.originals:
            folder = self.folder / "originals" / subject.name.replace("/", "_")
            folder.mkdir(parents=True)
            primary = subject.write(folder)
            files = {
                str(file.relative_to(folder)): file.read_bytes()
                for file in sorted(folder.rglob("*"))
                if file.is_file()
            }
            kind, _, expected = _attempt(subject, folder / primary)
            expected = expected if kind == "read" else None
            self.originals[subject.name] = files, primary, expected
        return self.originals[subject.name]


class Rival:
    """Reads the same files by ITK and nibabel, and compares."""

    def __init__(self, folder):
        self.folder = folder

    def answer(self, request):
        """Describes how the package's reading differs from theirs; empty if equal."""
        with np.load(self.folder / "reading.npz") as stored:
            reading = dict(stored)
        if request["rival"] == "field" and "mapped" in reading:
            request["rival"] = "transform"
        elif request["rival"] == "transform" and "voxels" in reading:
            request["rival"] = "field"
        difference, agreement = rivals.verdict(
            request["rival"], Path(request["path"]), reading, readings.probes_mm()
        )
        yield {"difference": difference, "agreement": agreement}


def write_files(folder, files):
    """Writes files by their names below a folder."""
    folder.mkdir(parents=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _attempt(subject, path):
    """The kind of outcome, its detail, and the reading."""
    from voltween.errors import VoltweenError

    try:
        reading = subject.read(path)
    except VoltweenError as error:
        return "refused", str(error)[-300:], None
    except readings.BrokenPromiseError as error:
        return "silent", str(error), None
    except MemoryError as error:
        return "memory", repr(error), None
    except Exception as error:
        return "traceback", _in_words(error), None
    if reading is None:
        return "refused", "counts as missing", None
    return "read", "", reading


def _in_words(error):
    """The error and the package's lines that it passed, as one line."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [
        f"{Path(f.filename).name}:{f.lineno}" for f in frames if "src" in f.filename
    ]
    return f"{type(error).__name__}: {str(error)[:150]!r} ({' '.join(lines)})"


def _are_same(reading, expected):
    if expected is None or set(reading) != set(expected):
        return False
    return all(_is_same(reading[name], expected[name]) for name in reading)


def _is_same(one, other):
    if one.shape != other.shape:
        return False
    if one.dtype.kind == "f":
        return np.allclose(one, other, rtol=1e-6, atol=1e-5)
    return np.array_equal(one, other)


def _reset_peak():
    """Forgets the peak of memory; returns the memory in use now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    return _peak_bytes()


def _peak_bytes():
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    peak = next(line for line in lines if line.startswith("VmHWM"))
    return int(peak.split()[1]) * 1024


def _limit_memory():
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    size = next(line for line in lines if line.startswith("VmSize"))
    limit = int(size.split()[1]) * 1024 + _ADDRESS_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(role, folder):
    """Answers requests until the input ends."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries write to the standard output
    answerer = {"reader": Reader, "rival": Rival}[role](Path(folder))
    if role == "reader":
        import voltween.io
        import voltween.models  # noqa: F401  (the slow imports, before the limit)
    _limit_memory()
    print(json.dumps({"ready": True}), file=replies, flush=True)
    for line in sys.stdin:
        for reply in answerer.answer(json.loads(line)):
            print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
