"""docs/paper.md: what its table names exists; test_command_lines reads its commands."""

import ast
import re
from pathlib import Path

import pytest

from support.imports import exists

ROOT = Path(__file__).parents[1]
TESTS = Path(__file__).parent
PAGE = (ROOT / "docs" / "paper.md").read_text("utf-8")
TEST_NAME = r"`([\w/]+\.py)::([\w:]+)`"


def rows():
    """Cells of the table of claims: place, claim, code, test, command."""
    table = PAGE.split("## Every claim", 1)[1]
    lines = [line for line in table.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


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


def test_the_table_has_the_equations_and_tables_of_the_paper():
    places = " ".join(row[0] for row in rows())
    claimed = {int(n) for n in re.findall(r"(?<=eq\. )\d+|(?<=, )\d+", places)}
    assert claimed >= set(range(1, 20))
    for table in ("I", "II", "III", "IV", "V", "VI", "VII"):
        assert re.search(rf"Table {table}\b", places)
    assert len(rows()) > 80
