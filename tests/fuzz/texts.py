"""Mutators of text: header lines, tables and TOML."""

import csv
from io import StringIO

from fuzz.changes import TEXTS, Change, choose, on_text


def header_lines(separator, end):
    """A mutator of the text before a payload, in lines of key, separator and value.

    The header ends with the line that starts with `end`; an empty `end` is an empty
    line.
    """

    def mutate(rng, content):
        lines = content.split(b"\n")
        last = next(n for n, line in enumerate(lines) if _is_end(line, end))
        head, payload = lines[: last + 1], lines[last + 1 :]
        head, what = _change_lines(rng, head, separator)
        return Change(b"\n".join([*head, *payload]), what)

    return mutate


def _is_end(line, end):
    return line.startswith(end) if end else not line.strip()


def _change_lines(rng, lines, separator):
    lines = list(lines)
    n = int(rng.integers(len(lines)))
    key, mark, value = lines[n].partition(separator)
    kind = choose(
        rng, ("value", "value", "value", "token", "token", "out", "twice", "key")
    )
    if kind == "out":
        del lines[n]
    elif kind == "twice":
        lines.insert(n, lines[n])
    elif kind == "key":
        lines[n] = choose(rng, (b"", b"x" + key, key.upper(), key[1:])) + mark + value
    elif kind == "token":
        parts = value.split(b" ")
        parts[int(rng.integers(len(parts)))] = choose(rng, TEXTS).encode()
        lines[n] = key + mark + b" ".join(parts)
    else:
        lines[n] = key + mark + choose(rng, TEXTS).encode()
    shown = b"" if kind == "out" else lines[n][:60]
    return lines, f"line {n} ({key.decode(errors='replace')[:30]}), {kind}: {shown}"


@on_text
def csv_cells(rng, text):
    """Changes cells, rows and columns of a table."""
    rows = list(csv.reader(StringIO(text)))
    r = int(rng.integers(len(rows)))
    c = int(rng.integers(max(len(rows[r]), 1)))
    value = choose(rng, TEXTS)
    kind = choose(rng, (*["cell"] * 4, *_ROW_CHANGES, *_COLUMN_CHANGES))
    if kind in _COLUMN_CHANGES:
        rows = [_COLUMN_CHANGES[kind](row, c) for row in rows]
    elif kind in _ROW_CHANGES:
        rows[r : r + 1] = _ROW_CHANGES[kind](rows[r], value)
    else:
        rows[r][c : c + 1] = [value]
    out = StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue(), f"{kind} at row {r}, column {c}: {value[:30]!r}"


_ROW_CHANGES = {
    "row out": lambda row, value: [],
    "row twice": lambda row, value: [row, row],
    "short row": lambda row, value: [row[:-1]],
    "long row": lambda row, value: [[*row, value]],
    "blank row": lambda row, value: [row, []],
}
_COLUMN_CHANGES = {
    "column out": lambda row, c: row[:c] + row[c + 1 :],
    "column twice": lambda row, c: row + row[c : c + 1],
}


def csv_form(rng, content):
    """The same table in another encoding or dialect."""
    text = content.decode()
    forms = {
        "UTF-8 with BOM": text.encode("utf-8-sig"),
        "UTF-16": text.encode("utf-16"),
        "UTF-32": text.encode("utf-32"),
        "semicolons": text.replace(",", ";").encode(),
        "tabs": text.replace(",", "\t").encode(),
        "blanks after commas": text.replace(",", ", ").encode(),
        "carriage returns": text.replace("\n", "\r").encode(),
        "CR LF": text.replace("\n", "\r\n").encode(),
        "an open quote": text.replace("\n", '\n"', 1).encode(),
        "a NUL": text.replace("\n", "\n\0", 1).encode(),
        "Latin-1": text.replace("1", "ä").encode("latin-1", "replace"),
        "capitals": text.upper().encode(),
        "a huge cell": text.encode() + b"x" * 200_000 + b"\n",
        "empty lines": text.replace("\n", "\n\n").encode(),
        "only the header": text.encode().split(b"\n")[0] + b"\n",
    }
    name = choose(rng, tuple(forms))
    return Change(forms[name], name)


@on_text
def toml_lines(rng, text):
    """Changes values, keys and sections."""
    lines = text.split("\n")
    candidates = [
        n for n, line in enumerate(lines) if "=" in line or line.startswith("[")
    ]
    n = choose(rng, candidates)
    key, _, value = lines[n].partition("=")
    others = (
        *("0", "-1", "1e9", "1e300", "nan", "inf", "true", '"abc"', "[]", "{}", "[[]]"),
        *("[1, 2]", "[0, 0, 0]", "[-1, 8, 8]", "[1e9, 1e9, 1e9]", "1979-05-27", '""'),
        *(
            str(2**63),
            str(10**30),
            '"/etc/passwd"',
            "[" * 2000 + "]" * 2000,
            '"\\u0000"',
        ),
        *('"ADDDDDDDDDDDDDDDDDDDDDDDDDD"', '"A"', '"nan"', "'''", "[nan, nan, nan]"),
    )
    kind = choose(rng, ("value", "value", "value", "out", "twice", "key"))
    if kind == "out":
        del lines[n]
    elif kind == "twice":
        lines.insert(n, lines[n])
    elif kind == "key":
        lines[n] = f"x{lines[n]}"
    else:
        value = choose(rng, others)
        lines[n] = f"{key}= {value}"
    return "\n".join(lines), f"line {n} ({key.strip()[:30]}), {kind}: {value[:40]}"
