"""Tables in Markdown, and in LaTeX with booktabs."""

from collections.abc import Iterable
from dataclasses import dataclass

from voltween.storage import latex, markdown


@dataclass(frozen=True)
class Cell:
    """A text of a table; the best ones are bold."""

    text: str
    is_best: bool = False


@dataclass(frozen=True)
class Line:
    """A row of a table; a reason replaces all cells except the first."""

    cells: tuple[Cell, ...]
    reason: str = ""


@dataclass(frozen=True)
class Table:
    """Headings and lines; the first column is left-aligned."""

    headings: tuple[str, ...]
    lines: tuple[Line, ...]


def markdown_table(table: Table) -> str:
    """The table in Markdown, without a final line break."""
    others = len(table.headings) - 1
    lines = [list(table.headings), ["---"] + ["---:"] * others]
    for line in table.lines:
        texts = [
            f"**{markdown(cell.text)}**" if cell.is_best else markdown(cell.text)
            for cell in line.cells
        ]
        if line.reason:
            texts[1:] = [f"*{markdown(line.reason)}*", *[""] * (others - 1)]
        lines.append(texts)
    return "\n".join(f"| {' | '.join(texts)} |" for texts in lines)


def latex_table(table: Table) -> str:
    """The table as a tabular with booktabs, without a final line break."""
    others = len(table.headings) - 1
    lines = []
    for line in table.lines:
        texts = [
            f"\\textbf{{{latex(cell.text)}}}" if cell.is_best else latex(cell.text)
            for cell in line.cells
        ]
        if line.reason:
            reason = f"\\emph{{{latex(line.reason)}}}"
            texts[1:] = [f"\\multicolumn{{{others}}}{{l}}{{{reason}}}"]
        lines.append(_latex_line(texts))
    return "\n".join(
        [
            f"\\begin{{tabular}}{{l{'r' * others}}}",
            "\\toprule",
            _latex_line(map(latex, table.headings)),
            "\\midrule",
            *lines,
            "\\bottomrule",
            "\\end{tabular}",
        ]
    )


def _latex_line(texts: Iterable[str]) -> str:
    return f"{' & '.join(texts)} \\\\"
