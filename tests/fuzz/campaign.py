"""Runs mutants through a worker process, starts it anew when it dies, and counts."""

import json
import os
import select
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

SECONDS = 10
"""Time that reading a mutant may take."""
_STARTING_SECONDS = 120
FAULTS = ("traceback", "signal", "hang", "memory", "silent")
FINE = ("same", "agrees", "told", "other", "refused")
MEANINGS = {
    "same": "as the original",
    "agrees": "as ITK or nibabel",
    "told": "otherwise, with a warning",
    "other": "what the text now says",
    "refused": "refused",
}
_TESTS = Path(__file__).parents[1]
_SOURCE = _TESTS.parent / "src"


@dataclass(frozen=True)
class Outcome:
    """The fate of one mutant."""

    reader: str
    seed: int
    kind: str
    what: str
    detail: str = ""

    @property
    def is_fault(self):
        """Whether the reader did what it must never do."""
        return self.kind in FAULTS

    def __str__(self):
        place = f"{self.reader} | seed {self.seed} | {self.what}"
        return f"{place} | {self.kind}: {self.detail}"


class ChildDiedError(Exception):
    """The worker ended or took too long."""


class Child:
    """A worker process, started when it is needed and after it died."""

    def __init__(self, role, folder):
        self.role, self.folder = role, folder
        self.process = None

    def ask(self, request):
        """Sends a request; `receive` then reads its replies."""
        if self.process is None:
            self._start()
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()

    def receive(self, seconds=SECONDS):
        """The next reply.

        Raises:
            ChildDiedError: "hang", or "signal" with its name and the last words.
        """
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        line = self.process.stdout.readline() if ready else None
        if line:
            return json.loads(line)
        if line is None:
            self.stop()
            raise ChildDiedError("hang", f"more than {seconds} s")
        code = self._part()
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        raise ChildDiedError("signal", f"{name} {self._last_words()}")

    def stop(self):
        """Ends the process and those that it started."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self._part()

    def _part(self):
        """Waits for the end of the process, closes its pipes; returns its exit code."""
        process, self.process = self.process, None
        process.stdin.close()
        process.stdout.close()
        return process.wait()

    def _start(self):
        paths = [str(_TESTS), str(_SOURCE)]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")]),
            "OMP_NUM_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
        }
        words = [sys.executable, "-m", "fuzz.worker", self.role, str(self.folder)]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                bufsize=0,
                start_new_session=True,
            )
        self.receive(_STARTING_SECONDS)

    @property
    def _log(self):
        return self.folder / f"{self.role}.log"

    def _last_words(self):
        return self._log.read_text(errors="replace")[-300:].replace("\n", " ")


class Campaign:
    """Reads mutants one after another. A context: its processes end with it."""

    def __init__(self, folder):
        self.folder = folder
        self.rival = Child("rival", folder)
        self.reader = None
        self.readers = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.rival.stop()
        if self.reader is not None:
            self.reader.stop()

    def run(self, reader, seed):
        """The outcome of the mutant of a reader and a seed."""
        what = None
        try:
            self._reader().ask({"reader": reader, "seed": seed})
            what = self.reader.receive(3 * SECONDS)["what"]
            reply = self.reader.receive()
        except ChildDiedError as died:
            self.reader = None
            if what is None:  # the harness is at fault
                raise
            return Outcome(reader, seed, died.args[0], what, died.args[1])
        kind, detail = self._judge(reply)
        return Outcome(reader, seed, kind, what, detail)

    def _reader(self):
        """The reading process; each has a folder of its own."""
        if self.reader is None:
            self.readers += 1
            place = self.folder / str(self.readers)
            place.mkdir()
            self.reader = Child("reader", place)
            self.rival.stop()
            self.rival = Child("rival", place)
        return self.reader

    def _judge(self, reply):
        if reply["kind"] != "read":
            return reply["kind"], reply["detail"]
        if reply["told"]:
            return "told", "; ".join(reply["told"])
        if reply["is_damage"]:
            return "silent", "damage that is read as if it were whole"
        return self._compare(reply) if reply["rival"] else ("other", "")

    def _compare(self, reply):
        """Whether ITK or nibabel read the same."""
        try:
            self.rival.ask(reply)
            answer = self.rival.receive()
        except ChildDiedError as died:
            return "silent", f"no other library reads it ({died.args[1][:80]})"
        if answer["difference"]:
            return "silent", answer["difference"]
        return "agrees", answer["agreement"]


def table(outcomes):
    """The counts of outcomes per reader, in Markdown."""
    columns = [*(MEANINGS[kind] for kind in FINE), *FAULTS]
    lines = [
        f"| reader | mutants | {' | '.join(columns)} |",
        f"|---|{'---:|' * (len(columns) + 1)}",
    ]
    readers = list(dict.fromkeys(outcome.reader for outcome in outcomes))
    for reader in (*readers, "all"):
        kinds = Counter(o.kind for o in outcomes if reader in (o.reader, "all"))
        cells = [kinds[kind] for kind in (*FINE, *FAULTS)]
        lines.append(f"| {reader} | {sum(cells)} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines)
