"""Text of unknown origin: shown as it is in every output, never obeyed."""

import csv
from io import StringIO

import pytest
from rich.markdown import Markdown

from voltween.storage import csv_text
from voltween.storage.escaping import csv_cell, csv_value, latex, markdown, terminal

FORMULAS = ["=1+1", "+cmd|x", "-a", "@sum(a)", "\t=1", "'=1", "''@a", "-1-1"]
PLAIN = ["case", "", "'", "'a", "a=b", "-1.5", "+1e-3", "-inf", "a-b"]


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_get_an_apostrophe_and_come_back(text):
    assert csv_cell(text) == f"'{text}"
    assert csv_value(csv_cell(text)) == text


@pytest.mark.parametrize("text", [*PLAIN, 1, -1.5, None])
def test_other_cells_and_numbers_stay_as_they_are(text):
    assert csv_cell(text) == text
    if isinstance(text, str):
        assert csv_value(text) == text


def test_every_cell_of_a_table_is_plain():
    text = csv_text(["=a", "b"], [["@c", -1], ["d", "-x"]])
    assert list(csv.reader(StringIO(text))) == [
        ["'=a", "b"],
        ["'@c", "-1"],
        ["d", "'-x"],
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("a\rb\x07", r"a\rb\x07"),
        ("\x9b2J", r"\x9b2J"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\udc80", r"\udc80"),
        ("two\nlines\tand é 日", "two\nlines\tand é 日"),
    ],
)
def test_terminals_get_codes_as_text(text, expected):
    assert terminal(text) == expected


HOSTILE = [
    "[link](https://a.b)",
    "![picture](https://a.b/c.png)",
    "[link][1]",
    "https://a.b",
    "www.a.b",
    "me@a.b",
    "<b>bold</b>",
    "<script>",
    "a|b",
    "`code`",
    "*a*",
    "_a_",
    "# heading",
    "> quote",
    "- item",
    "1. item",
    "~~gone~~",
    "&lt;",
    "a\\",
    "$x$",
    "[0.1, 0.2]",
    "two\nlines",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_shows_the_text_itself(text):
    shown = " ".join(text.split())
    (outer,) = (token for token in Markdown(markdown(text)).parsed if token.children)
    assert outer.level == 1  # of a paragraph, not of a list or quotation
    kinds = {"text", "text_special", "softbreak"}
    assert {token.type for token in outer.children} <= kinds
    assert "".join(token.content for token in outer.children) == shown


def test_markdown_and_latex_have_no_terminal_codes():
    for escape in (markdown, latex):
        assert "\x1b" not in escape("a\x1b[0m")
