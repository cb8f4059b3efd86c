"""Writers that fail or are killed in the middle of their work."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

from voltween.storage import files

LINES = (
    "import os, signal, sys",
    "sys.path.insert(0, {source!r})",
    "from pathlib import Path",
    "from voltween.storage.files import whole_file",
    "from voltween.storage.folders import whole_folder",
    "target = Path({target!r})",
)
SOURCE = str(Path(files.__file__).parents[1])


class BrokenError(Exception):
    """Any error of the code that writes."""


DISK_FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def fail_as_disk_full(*arguments, **options):
    raise DISK_FULL


def fail_while_writing(context, error, *names):
    """Write a file, or the files of a folder, and raise in the middle of it."""
    with context as partial:
        for path in [partial / name for name in names] or [partial]:
            path.write_text("half")
        raise error


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def kill_while_writing(target, *block):
    """Run the block in a process that is killed in the middle of it."""
    lines = [line.format(source=SOURCE, target=str(target)) for line in LINES]
    end = "    os.kill(os.getpid(), signal.SIGKILL)"
    code = "\n".join([*lines, *block, end])
    process = subprocess.run([sys.executable, "-c", code], check=False)
    assert process.returncode == -signal.SIGKILL
