"""docs/paper.md: what its table names exists, and its commands can be read."""

import ast
import re
import shlex
from pathlib import Path

import pytest

from support.imports import exists
from voltween.cli.app import COMMANDS, read_command

ROOT = Path(__file__).parents[1]
TESTS = Path(__file__).parent
PAGE = (ROOT / "docs" / "paper.md").read_text("utf-8")
TEST_NAME = r"`([\w/]+\.py)::([\w:]+)`"


def rows():
    """Cells of the table of claims: place, claim, code, test, command."""
    table = PAGE.split("## Every claim", 1)[1]
    lines = [line for line in table.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def commands():
    """Command lines of the page: those of its blocks and of its tables."""
    blocks = re.findall(r"^```\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    joined = "\n".join(blocks).replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line.startswith("voltween ")]
    in_table = [row[4].strip("`") for row in rows() if row[4] != "-"]
    return list(dict.fromkeys([*lines, *in_table]))


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[1][:40])
def test_code_and_test_of_a_claim_exist(row):
    assert len(row) == 5, row
    _, _, code, held, _ = row
    names = re.findall(r"`(voltween[\w.]*)`", code)
    assert names or code.startswith("none: ")
    for name in names:
        assert exists(name), name
    found = re.findall(TEST_NAME, held)
    assert found or re.match(r"not held: \w+", held)
    assert len(found) == held.count("::") - sum(test.count("::") for _, test in found)
    for file, test in found:
        assert test in functions(TESTS / file), test


def functions(path):
    """Names of the tests in a file, with those of their classes."""
    names = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef):
            names |= {
                f"{node.name}::{part.name}" for part in node.body if is_test(part)
            }
        elif is_test(node):
            names.add(node.name)
    return names


def is_test(node):
    return isinstance(node, ast.FunctionDef) and node.name.startswith("test_")


@pytest.mark.parametrize("command", commands())
def test_commands_of_the_page_have_these_options(command):
    program, name, *words = shlex.split(command, comments=True)
    assert program == "voltween"
    assert name in COMMANDS
    if name != "train":  # its options depend on the manifest
        read_command(name, words)


def test_the_table_has_the_equations_and_tables_of_the_paper():
    places = " ".join(row[0] for row in rows())
    claimed = {int(n) for n in re.findall(r"(?<=eq\. )\d+|(?<=, )\d+", places)}
    assert claimed >= set(range(1, 20))
    for table in ("I", "II", "III", "IV", "V", "VI", "VII"):
        assert re.search(rf"Table {table}\b", places)
    assert len(rows()) > 80
