"""Exit codes: defined once, and listed in the documentation."""

import ast
import re
import signal
from pathlib import Path

from voltween import cli
from voltween.cli import exit_codes

COMMANDS = Path(cli.__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "commands.md"
CODES = {name: code for name, code in vars(exit_codes).items() if name.isupper()}


def nodes_of(path):
    return ast.walk(ast.parse(path.read_text("utf-8")))


def test_every_code_is_defined_in_one_module():
    for path in COMMANDS.glob("*.py"):
        names = [
            target.id
            for node in nodes_of(path)
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name) and target.id.startswith("EXIT_")
        ]
        assert names == (list(CODES) if path.stem == "exit_codes" else []), path


def test_commands_end_with_codes_by_their_names():
    for path in COMMANDS.glob("*.py"):
        for node in nodes_of(path):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "sys.exit",
                "SystemExit",
            ):
                literals = {n.value for n in ast.walk(node) if hasattr(n, "value")}
                assert not literals & {*range(1, 256)}, f"{path}: {ast.unparse(node)}"


def test_codes_differ_and_are_listed():
    assert len({*CODES.values()}) == len(CODES)
    rows = re.findall(r"^\| ([\d, ]+) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    listed = {int(code) for row in rows for code in row.split(",")}
    assert listed >= {0, *CODES.values()}


def test_the_code_of_an_unread_output_is_that_of_its_signal():
    number = getattr(signal, "SIGPIPE", 13)
    assert number + 128 == exit_codes.EXIT_UNREAD
