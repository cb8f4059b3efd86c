"""Command: print a JSON schema."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from voltween.cli.console import console
from voltween.cli.results import give_result, report_written
from voltween.schemas import schema_named
from voltween.storage import whole_file


@dataclass(frozen=True)
class Schema:
    """Print the JSON schema of a file that Voltween writes.

    registration describes registration.json; plan, a training plan (TOML) after it was
    read; record, the records of finished work, as `voltween cohort` keeps one per pair.
    Validators for draft 2020-12, such as the Python package jsonschema, use it.
    """

    name: Annotated[
        Positional[Literal["registration", "plan", "record"]],
        tyro.conf.arg(metavar="NAME"),
    ]
    """File to describe."""
    out: Path | None = None
    """File to write; if not given, the schema is printed."""

    def run(self) -> None:
        """Make and write."""
        schema = schema_named(self.name)
        text = json.dumps(schema, indent=1)
        give_result(schema=schema)
        if self.out is None:
            console.print(text, soft_wrap=True)
            return
        with whole_file(self.out) as partial:
            partial.write_text(text + "\n", encoding="utf-8")
        report_written(self.out)
