"""CSV, JSON and TOML: read whole or refused with one error, whatever they hold."""

import pytest

from voltween.errors import InputError
from voltween.storage import (
    check_numbers,
    csv_text,
    parsed_json,
    read_columns,
    read_json,
    read_table,
    read_toml,
)


def test_a_written_table_reads_the_same(tmp_path):
    rows = [["=1", "b,c"], ['"', "two\nlines"]]
    (tmp_path / "a.csv").write_text(csv_text(["x", "y"], rows))
    table = read_table(tmp_path / "a.csv", "a table", ["y"])
    assert table.columns == ("x", "y")
    assert [list(row.values()) for row in table.rows] == rows


def test_short_rows_are_filled_and_empty_lines_skipped(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n\n1\n2,3,,\n")
    assert read_columns(tmp_path / "a.csv", "x", "y") == [("1", ""), ("2", "3")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got no x"),
        (b"y\n1\n", "got no x"),
        (b"x,x\n1,2\n", "x twice"),
        (b"x\n1,2\n", "line 2: expected at most 1 cells"),
        (b"\xff\xfe", "another kind of file"),
        (b"x\n" + b"1" * 200_000, "another kind of file"),
    ],
)
def test_other_tables_are_refused(content, message, tmp_path):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.csv.*{message}"):
        read_table(tmp_path / "a.csv", "a table", ["x"])


@pytest.mark.parametrize("read", [read_json, read_toml])
@pytest.mark.parametrize(
    "content", [b"\xff", b"[", b"5", b"[" * 99999, b'{"a": 1', b"a = [1"]
)
def test_other_texts_are_refused(read, content, tmp_path):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(InputError, match=r"a: expected a record, got"):
        read(tmp_path / "a", "a record")


@pytest.mark.parametrize(
    "text", ['{"a": NaN}', '{"a": [-1e999]}', f'{{"a": {{"b": {2**63}}}}}']
)
def test_numbers_that_no_program_works_with_are_refused(text):
    with pytest.raises(InputError, match=r"^a(\.b)?: expected a record, and a "):
        parsed_json(text, "a record")


def test_usual_numbers_pass():
    check_numbers({"a": [2**63 - 1, -(2**63) + 1, 1e308, True, None, "nan"]})
