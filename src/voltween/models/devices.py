"""Devices by their names, as PyTorch knows them."""

import torch

from voltween.errors import InputError


def check_device_name(name: str) -> None:
    """Checks the name of a device, which may be one of another machine.

    Raises:
        InputError: If PyTorch knows no such device.
    """
    try:
        if name != "auto":
            torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise InputError(
            about="device",
            expected="auto, cpu, cuda, or another that PyTorch knows",
            got=repr(name),
        ) from error


def usable_device(name: str) -> str:
    """Returns the name of a device that can compute here.

    "auto" is a GPU if PyTorch can use one here, else the CPU.

    Raises:
        InputError: If PyTorch knows no such device, or cannot use it here.
    """
    check_device_name(name)
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.ones(1, device=name).sum().item()  # meta has no numbers
    except (RuntimeError, AssertionError, ImportError) as error:  # not in this PyTorch
        raise InputError(
            about=f"device {name!r}",
            expected="a device that PyTorch can use here",
            got=str(error).splitlines()[0],
            advice="take cpu",
        ) from error
    return name
