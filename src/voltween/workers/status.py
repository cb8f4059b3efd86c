"""The state of every task of a run, its rate, and the table that shows it meanwhile."""

import csv
import io
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from voltween.storage import output_folder, whole_file
from voltween.workers.tasks import Outcome

STATUS = "status.csv"
"""Name of the table in the folder of a command's results."""

_COLUMNS = ("name", "state", "seconds", "note")
_WRITE_SECONDS = 1.0


@dataclass(frozen=True)
class _Row:
    state: str
    seconds: float | None = None
    note: str = ""


class Status:
    """Counts tasks and keeps a table of them, `status.csv`, while they run.

    Its methods `start` and `end` are the functions that `run_tasks` calls.
    """

    def __init__(
        self,
        names: Iterable[str] = (),
        *,
        file: Path | None = None,
        on_change: Callable[["Status"], None] = lambda status: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begins with these tasks waiting; without a file, there is no table.

        `on_change` is called when a task is handed out and when it ends.
        """
        self._rows: dict[str, _Row] = {}
        self._file = file
        self._on_change = on_change
        self._clock = clock
        self._begun: float | None = None
        self._written = float("-inf")
        self.note = ""
        """A remark on the task that ended last."""
        self.add(names)

    def add(self, names: Iterable[str]) -> None:
        """Adds tasks, which wait."""
        self._rows |= dict.fromkeys(names, _Row("waiting"))
        self._write()

    def keep(self, name: str, *, error: str | None = None) -> None:
        """Notes a task that an earlier run has done, or has failed at."""
        self._rows[name] = _Row("failed" if error else "kept", note=error or "")

    def start(self, name: str) -> None:
        """Notes that a task is handed out."""
        if self._begun is None:
            self._begun = self._clock()
        self._rows[name] = _Row("running")
        self._changed()

    def end(self, outcome: Outcome, note: str = "") -> None:
        """Notes the end of a task, with a remark on its result."""
        state = "done" if outcome.error is None else "failed"
        self.note = outcome.error or note
        self._rows[outcome.name] = _Row(state, outcome.seconds, self.note)
        self._changed()

    def close(self) -> None:
        """Writes the table a last time; what has not ended is waiting again."""
        for name, row in self._rows.items():
            if row.state == "running":
                self._rows[name] = _Row("waiting")
        self._write()

    def count(self, state: str) -> int:
        """The number of tasks that are kept, waiting, running, done or failed."""
        rows = list(self._rows.values())  # the one who shows them has a thread
        return sum(row.state == state for row in rows)

    @property
    def failures(self) -> dict[str, str]:
        """Names of the failed tasks, and why they failed."""
        rows = self._rows.items()
        return {name: row.note for name, row in rows if row.state == "failed"}

    @property
    def tasks(self) -> int:
        """The number of all tasks."""
        return len(self._rows)

    @property
    def ended(self) -> int:
        """The number of tasks that do not have to run any more."""
        return sum(self.count(state) for state in ("kept", "done", "failed"))

    @property
    def per_minute(self) -> float:
        """Tasks ended per minute in this run."""
        return 60 * self._ended / self._seconds if self._seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Time until the last task ends at this rate; None before the first has."""
        left = self.count("waiting") + self.count("running")
        if not self._ended:
            return None
        return self._seconds / self._ended * left

    def line(self) -> str:
        """The counts, the rate and the time left, in one line."""
        counts = [f"{self.count(state)} {state}" for state in _SHOWN]
        if self.count("kept"):
            counts.insert(0, f"{self.count('kept')} kept")
        text = f"{', '.join(counts)}, {self.per_minute:.1f} per minute"
        if self.seconds_left is None:
            return text
        return f"{text}, {_duration(self.seconds_left)} left"

    @property
    def _seconds(self) -> float:
        """Time since the first task was handed out."""
        return 0.0 if self._begun is None else self._clock() - self._begun

    @property
    def _ended(self) -> int:
        return sum(row.seconds is not None for row in list(self._rows.values()))

    def _changed(self) -> None:
        self._on_change(self)
        if self._clock() - self._written >= _WRITE_SECONDS:
            self._write()

    def _write(self) -> None:
        if self._file is None or not self._rows:
            return
        if not self._file.exists():
            output_folder(self._file.parent)
        self._written = self._clock()
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for name, row in self._rows.items():
            seconds = "" if row.seconds is None else f"{row.seconds:.3f}"
            writer.writerow((name, row.state, seconds, row.note))
        with whole_file(self._file) as partial:
            partial.write_text(text.getvalue(), encoding="utf-8")


_SHOWN = ("done", "failed", "running", "waiting")


def _duration(seconds: float) -> str:
    """Hours, minutes and seconds, without those that are zero at the front."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
