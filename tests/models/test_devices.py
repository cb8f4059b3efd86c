"""Names of devices, and devices that can compute here."""

import pytest

from voltween.errors import InputError
from voltween.models.devices import check_device_name, usable_device


@pytest.mark.parametrize("name", ["auto", "cpu", "cuda", "cuda:3"])
def test_devices_of_other_machines_have_names(name):
    check_device_name(name)


@pytest.mark.parametrize("name", ["abacus", "", "cuda:x", "cpu,cuda"])
def test_what_pytorch_does_not_know_is_no_device(name):
    with pytest.raises(InputError, match="expected auto, cpu, cuda, or another"):
        check_device_name(name)
    with pytest.raises(InputError, match="expected auto, cpu, cuda, or another"):
        usable_device(name)


@pytest.mark.parametrize("name", ["cuda:99", "meta", "mps:9", "hpu", "privateuseone"])
def test_devices_that_compute_nothing_here_are_refused(name):
    with pytest.raises(InputError, match=f"device '{name}': expected a device"):
        usable_device(name)


def test_the_processor_computes():
    assert usable_device("cpu") == "cpu"
    assert usable_device("auto") in ("cpu", "cuda")
