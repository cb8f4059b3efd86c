"""Differences of configurations: one line per setting, for people."""

from dataclasses import replace

from voltween.models import different_settings, in_one_line
from voltween.networks import CascadeConfig
from voltween.training import TrainConfig

CASCADE = CascadeConfig("AD", (16, 16, 16), channels=2)


def test_equal_configurations_have_none():
    assert different_settings(CASCADE, replace(CASCADE)) == []
    # A file has lists where memory has tuples.
    assert different_settings({"shape": [1, 2]}, {"shape": (1, 2)}) == []


def test_each_setting_is_named_with_both_values():
    other = replace(CASCADE, channels=8, shape=(32, 16, 16), flow_multiplier=2.5)
    assert different_settings(other, CASCADE) == [
        "shape [32, 16, 16], not [16, 16, 16]",
        "channels 8, not 2",
        "flow_multiplier 2.5, not 1",
    ]


def test_settings_within_settings_have_dotted_names():
    plain = TrainConfig()
    other = replace(plain, objective=replace(plain.objective, overlap=(2.0, 0.5)))
    assert different_settings(other, plain) == ["objective.overlap [2, 0.5], not []"]
    assert different_settings(replace(plain, patience=3), plain) == [
        "patience 3, not none"
    ]


def test_of_long_lists_only_what_one_of_them_lacks_is_named():
    names = [f"case{n}" for n in range(100)]
    got = {"train_cases": [*names[:-1], "new"]}
    assert different_settings(got, {"train_cases": names}) == [
        "train_cases without case99",
        "train_cases with new",
    ]
    turned = {"train_cases": names[::-1]}
    assert different_settings(turned, {"train_cases": names}) == [
        "train_cases in another order"
    ]


def test_many_differences_are_counted():
    texts = [str(n) for n in range(9)]
    assert in_one_line(texts) == "0; 1; 2; 3; 4; 5; and 3 more"
    assert in_one_line(texts[:2]) == "0; 1"
