"""A registration that runs in a process of its own, as its host sees it."""

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voltween.hosting.request import Request

_RECORD = "registration.json"
_LAST_LINES = 5  # of what a process said before it died


@dataclass(frozen=True)
class Progress:
    """The progress of a registration, for a bar and a line of text."""

    text: str = "Preparing ..."
    share: float = 0.0
    """Share of the refinement's steps, from 0 to 1, as far as they are known."""


@dataclass(frozen=True)
class Outcome:
    """The end of a registration: its record, an error, or neither if it was stopped."""

    record: Mapping[str, Any] | None = None
    """The content of registration.json."""
    error: str = ""
    """Why there is no result, in one line; empty if there is one, or if stopped."""
    warnings: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """The verdict and the main figures, in a line or two; or the error."""
        if self.record is None:
            return self.error or "Stopped; nothing was written."
        verdict, correlation = self.record["verdict"], self.record["correlation"]
        reasons = "; ".join(verdict["reasons"]) or "nothing speaks against it"
        return (
            f"Verdict: {verdict['grade']} ({reasons}). Model: {self.record['model']}. "
            f"Correlation {correlation['before']:.3f} before, "
            f"{correlation['after']:.3f} after. "
            f"Folding: {self.record['folding_percent']:.3g} % of the voxels."
        )


@dataclass
class Running:
    """A registration in a process of its own; `poll` it from a timer."""

    out: Path
    process: subprocess.Popen[str]
    progress: Progress = field(default_factory=Progress)
    _events: queue.Queue[dict[str, Any] | None] = field(default_factory=queue.Queue)
    _warnings: list[str] = field(default_factory=list)
    _said: list[str] = field(default_factory=list)
    _error: str = ""
    _is_stopped: bool = False
    _has_ended: bool = False

    def __post_init__(self) -> None:
        assert self.process.stdout
        assert self.process.stderr
        self._readers = [
            threading.Thread(target=read, args=(stream,), daemon=True)
            for read, stream in (
                (self._read_events, self.process.stdout),
                (self._read_complaints, self.process.stderr),
            )
        ]
        for reader in self._readers:
            reader.start()

    def poll(self) -> Outcome | None:
        """Takes in what has been said; the outcome, or None while it goes on."""
        while not self._has_ended:
            try:
                event = self._events.get_nowait()
            except queue.Empty:
                return None
            self._take(event)
        return self._outcome()

    def wait(self) -> Outcome:
        """Waits for the end."""
        while not self._has_ended:
            self._take(self._events.get())
        return self._outcome()

    def stop(self) -> None:
        """Ends the process; an earlier result in the folder stays as it was."""
        self._is_stopped = True
        self.process.terminate()

    def _take(self, event: dict[str, Any] | None) -> None:
        if event is None:
            self._has_ended = True
        elif "step" in event:
            self.progress = _progress(event["step"])
        elif "warning" in event:
            self._warnings.append(event["warning"])
        elif "error" in event:
            self._error = event["error"]
        elif "done" in event:
            self.progress = Progress("Done", 1.0)

    def _outcome(self) -> Outcome:
        code, notes = self.process.wait(), tuple(dict.fromkeys(self._warnings))
        self._close()
        if self._is_stopped and code != 0:
            return Outcome(warnings=notes)
        if code == 0:
            return _result(self.out / _RECORD, notes)
        last = " ".join(self._said[-_LAST_LINES:]) or "it said nothing"
        died = f"the process of the registration ended with code {code}: {last}"
        return Outcome(error=self._error or died, warnings=notes)

    def _close(self) -> None:
        for reader in self._readers:
            reader.join()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with suppress(OSError):  # what the process no longer read
                    stream.close()

    def _read_events(self, lines: Iterable[str]) -> None:
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                self._said.append(line.strip())
                continue
            if isinstance(event, dict):
                self._events.put(event)
        self._events.put(None)

    def _read_complaints(self, lines: Iterable[str]) -> None:
        self._said.extend(line.strip() for line in lines if line.strip())


def start(
    request: Request,
    *,
    python: str = sys.executable,
    environment: Mapping[str, str] | None = None,
) -> Running:
    """Starts a registration in a process of its own.

    Args:
        request: The files and the choices.
        python: A Python in which this package is installed.
        environment: The variables of the process, if not those of this one.

    Raises:
        OSError: If there is no such Python.
    """
    process = subprocess.Popen(
        [python, "-m", "voltween.hosting.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=None if environment is None else dict(environment),
    )
    assert process.stdin
    with suppress(OSError):  # it died at once, and says why
        process.stdin.write(request.to_json() + "\n")
        process.stdin.flush()  # it stays open: its end tells that this one has ended
    return Running(request.out, process)


def _result(path: Path, notes: tuple[str, ...]) -> Outcome:
    """The outcome of a process that has written its record."""
    try:
        return Outcome(json.loads(path.read_text(encoding="utf-8")), warnings=notes)
    except (OSError, ValueError) as error:  # deleted or changed meanwhile
        return Outcome(error=f"the result cannot be read: {error}", warnings=notes)


def _progress(step: Mapping[str, Any]) -> Progress:
    """The progress after a step; the affine part counts as the first half."""
    level = (step["level"] - 1 + step["step"] / step["steps"]) / step["levels"]
    share = level / 2 if step["part"] == "affine" else (1 + level) / 2
    return Progress(
        f"Refining: {step['part']}, level {step['level']} of {step['levels']}, step "
        f"{step['step']} of {step['steps']}",
        share,
    )
