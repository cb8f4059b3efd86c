"""Dataclasses from the values of JSON and TOML files, each value checked."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from voltween.errors import InputError
from voltween.models import dataclass_from_facts
from voltween.preprocessing import Preprocessing


@dataclass(frozen=True)
class Inner:
    weight: float = 1.0
    kind: Literal["a", "b"] = "a"

    def __post_init__(self):
        if self.weight < 0:
            raise InputError(about="weight", expected="at least 0", got=self.weight)


@dataclass(frozen=True)
class Outer:
    count: int
    window: tuple[float, float] | None = None
    weights: tuple[float, ...] = ()
    is_on: bool = False
    file: Path | None = None
    inner: Inner = Inner()
    numbers: Mapping[str, float] = field(default_factory=dict)


FULL = Outer(3, (1.0, 2.5), (0.5,), True, Path("x.csv"), Inner(2.0, "b"), {"iou": 1.0})


def test_what_json_made_of_a_dataclass_comes_back():
    facts = json.loads(json.dumps(asdict(FULL), default=str))
    assert dataclass_from_facts(Outer, facts) == FULL
    assert dataclass_from_facts(Outer, {"count": 1, "window": None}) == Outer(1)
    preprocessing = Preprocessing((16, 32, 16), (1.0, 2.0, 1.5), "head")
    facts = json.loads(json.dumps(asdict(preprocessing)))
    assert dataclass_from_facts(Preprocessing, facts) == preprocessing


def test_whole_numbers_serve_as_numbers():
    facts = {"count": 1, "window": [1, 2], "numbers": {"iou": 1}}
    outer = dataclass_from_facts(Outer, facts)
    assert outer == Outer(1, (1.0, 2.0), numbers={"iou": 1.0})
    assert [type(n) for n in (*outer.window, outer.numbers["iou"])] == [float] * 3


@pytest.mark.parametrize(
    ("facts", "about", "expected", "got"),
    [
        ({"count": "3"}, "count", "a whole number", "'3'"),
        ({"count": True}, "count", "a whole number", "True"),
        ({"count": 1, "is_on": 1}, "is_on", "true or false", "1"),
        ({"count": 1, "file": 2}, "file", "text", "2"),
        (
            {"count": 1, "window": [1]},
            "window",
            "a list of 2 (each a number)",
            "[1]",
        ),
        ({"count": 1, "weights": [1, "x"]}, "weights[1]", "a number", "'x'"),
        ({"count": 1, "inner": 3}, "inner", "a section", "3"),
        (
            {"count": 1, "inner": {"kind": "c"}},
            "inner.kind",
            "one of 'a', 'b'",
            "'c'",
        ),
        (
            {"count": 1, "inner": {"wait": 1}},
            "inner.wait",
            "one of the keys weight, kind",
            "an unknown key",
        ),
        (
            {"count": 1, "inner": {"weight": -1}},
            "[inner]: weight",
            "at least 0",
            "-1.0",
        ),
        ({"count": 1, "numbers": {"iou": "1"}}, "numbers.iou", "a number", "'1'"),
        ({}, "count", "a value, as there is no default", "no such key"),
    ],
)
def test_errors_name_the_key_the_type_and_the_value(facts, about, expected, got):
    with pytest.raises(InputError) as caught:
        dataclass_from_facts(Outer, facts)
    error = caught.value
    assert (error.about, error.expected, error.got) == (about, expected, got)


def test_keys_are_named_with_their_section():
    with pytest.raises(InputError) as caught:
        dataclass_from_facts(Inner, {"weight": "1"}, "training.objective")
    assert caught.value.about == "training.objective.weight"
