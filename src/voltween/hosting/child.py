"""The process that registers for another program: `python -m voltween.hosting.child`.

It reads a request as the first line of its input, and writes one line of JSON per event
to its output: steps, warnings, the end, or an error in one line. It ends when its input
is closed, as the program that waits for it has ended then. If it is ended, it leaves no
unfinished files behind.
"""

import json
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any, TextIO

from voltween.hosting.request import OUTPUTS, Request
from voltween.process import stopping_at_signals

Say = Callable[[dict[str, Any]], None]


def main() -> None:
    """Registers what the request asks for, and tells how it went."""
    say = _speaking()
    with stopping_at_signals(ends_process=True):
        request = Request.from_json(sys.stdin.readline())
        threading.Thread(target=_end_with_the_host, daemon=True).start()
        if not _register(request, say):
            sys.exit(2)


def _register(request: Request, say: Say) -> bool:
    """Registers and writes the result; whether it went well."""
    from voltween.batches import register_files
    from voltween.errors import VoltweenError, reporting_memory_shortage
    from voltween.storage import reading

    files = (request.fixed, request.moving, request.fixed_mask, request.moving_mask)
    inputs = [file for file in files if file is not None]

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        say({"warning": str(message)})

    try:
        with (
            warnings.catch_warnings(),
            reporting_memory_shortage(),
            reading(inputs),
        ):
            warnings.showwarning = show
            register_files(
                _job(request),
                request.out,
                command=request.words(),
                on_step=lambda step: say({"step": step._asdict()}),
            )
    except (VoltweenError, OSError) as error:
        say({"error": str(error)})
        return False
    say({"done": str(request.out)})
    return True


def _job(request: Request) -> Any:
    """The request as a job of this library."""
    from voltween.batches import (
        Companions,
        PairJob,
        RefinementOptions,
        RegistrationOptions,
    )

    refinement: dict[str, Any] = {
        "refine": request.refine,
        "transform": request.transform,
        "similarity": request.similarity or None,
    }
    options = RegistrationOptions(
        model=request.model,
        outputs=",".join(OUTPUTS),
        no_folding=request.no_folding,
        refinement=RefinementOptions(**refinement),
    )
    masks = Companions(fixed_mask=request.fixed_mask, moving_mask=request.moving_mask)
    return PairJob(request.fixed, request.moving, masks, options)


def _speaking() -> Say:
    """Takes the output for events alone; what libraries print goes to the errors."""
    lines: TextIO = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    lock = threading.Lock()

    def say(event: dict[str, Any]) -> None:
        with lock:
            print(json.dumps(event), file=lines, flush=True)

    return say


def _end_with_the_host() -> None:
    while sys.stdin.readline():
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
