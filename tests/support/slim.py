"""The command line where only the required packages are installed.

A program: python -m support.slim CORE COMMANDS, both in JSON. CORE names the
distributions that there are; COMMANDS are lists of words. It prints, in JSON, the exit
code and the error output of each command.
"""

import contextlib
import importlib.metadata
import io
import json
import re
import sys
import warnings


def normal(name):
    """The name of a distribution as indexes write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


class OnlyCore:
    """Refuses all modules that come from other distributions."""

    def __init__(self, core):
        self.blocked = {
            module
            for module, names in importlib.metadata.packages_distributions().items()
            if not {normal(name) for name in names} & core
        } - sys.stdlib_module_names  # which a distribution may hold for old Pythons

    def find_spec(self, name, path=None, target=None):
        """Raises for a refused module; the others are found by the next finder."""
        if name.split(".")[0] in self.blocked:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def hide_others(core):
    """As if only the distributions of these names were installed."""
    find = importlib.metadata.Distribution.from_name.__func__

    def from_name(kind, name):
        if normal(name) not in core:
            raise importlib.metadata.PackageNotFoundError(name)
        return find(kind, name)

    sys.meta_path.insert(0, OnlyCore(core))
    importlib.metadata.Distribution.from_name = classmethod(from_name)


def outcome(words):
    """Exit code and error output of a command."""
    from voltween.cli import main

    errors, code = io.StringIO(), 0
    with contextlib.redirect_stderr(errors):
        try:
            main(words)
        except SystemExit as end:
            code = end.code
    return code, " ".join(errors.getvalue().split())


if __name__ == "__main__":
    hide_others(set(json.loads(sys.argv[1])))
    warnings.simplefilter("default")
    with contextlib.redirect_stdout(io.StringIO()):
        outcomes = [outcome(words) for words in json.loads(sys.argv[2])]
    print(json.dumps(outcomes))
