r"""Text of unknown origin in CSV, Markdown, LaTeX and terminals: shown, never obeyed.

Names of cases and files may hold formulas, links, markup and terminal codes. Every
output has one function here that makes such text plain.
"""

import re

_FORMULA = r"[=+\-@\t\r]"  # a cell that begins so is a formula in a spreadsheet
# All but tab and line break; characters that turn the direction of text; and half
# characters, which stand for bytes of a name that are no text.
_CONTROL = re.compile(
    "[\0-\b\v-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def terminal(text: str) -> str:
    r"""The text with control characters as codes such as \x1b."""
    return _CONTROL.sub(lambda match: repr(match[0])[1:-1], text)


def csv_cell(value: object) -> object:
    """The value of a cell; a text that would be a formula gets an apostrophe.

    Numbers, also as text, stay as they are. `csv_value` takes the apostrophe away.
    """
    is_formula = isinstance(value, str) and re.match(f"'*{_FORMULA}", value)
    return f"'{value}" if is_formula and not _is_number(str(value)) else value


def csv_value(cell: str) -> str:
    """The text that `csv_cell` made the cell from."""
    return cell[1:] if re.match(f"'+{_FORMULA}", cell) else cell


def markdown(text: str) -> str:
    """The text escaped for Markdown, on one line."""
    underscore_at_edge_of_word = r"(?<!\w)_|_(?!\w)"
    link = r"\](?=[\[(:])|(?<=:)/(?=/)|(?<=\bwww)\.|@"
    entity, strike, block = r"&(?=#?\w+;)", "~(?=~)", r"^(?:[#>]|[+-](?=\s))"
    numbered = r"(?<=^\d)[.)](?=\s)"
    escaped = re.sub(
        rf"[\\`*|<$]|{underscore_at_edge_of_word}|{link}|{entity}|{strike}|{block}"
        rf"|{numbered}",
        r"\\\g<0>",
        _on_one_line(text),
    )
    return terminal(escaped)


_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def latex(text: str) -> str:
    """The text escaped for LaTeX, on one line."""
    line = terminal(_on_one_line(text))
    escaped = "".join(_LATEX.get(letter, letter) for letter in line)
    escaped = escaped.replace("--", "-{}-")  # otherwise an en dash
    return re.sub(r"(?<!\w)-(?=\d)", "$-$", escaped)  # a minus, not a hyphen


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
