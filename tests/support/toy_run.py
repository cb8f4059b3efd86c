"""A run of slow toy tasks as a process of its own: FOLDER WORKERS SECONDS NAME ..."""

import sys
from pathlib import Path

from support.toys import note_slowly
from voltween.process import stopping_at_signals
from voltween.workers import Engine, Task, run_tasks


def main(words):
    """Run the tasks that have no file yet, as commands do."""
    folder, workers, seconds = Path(words[0]), int(words[1]), float(words[2])
    names = [name for name in words[3:] if not (folder / name).exists()]
    tasks = [Task(name, (folder, name, seconds)) for name in names]
    with stopping_at_signals(ends_process=True):
        run_tasks(
            note_slowly,
            tasks,
            Engine(workers=workers),
            lambda outcome: print(outcome.name, outcome.error, flush=True),
        )


if __name__ == "__main__":
    main(sys.argv[1:])
