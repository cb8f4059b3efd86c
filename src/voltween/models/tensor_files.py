"""Safetensors files of tensors with a description in JSON."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from voltween.errors import InputError
from voltween.storage import naming, parsed_json, whole_file

SUFFIX = ".safetensors"
_KIND = "a Voltween model (safetensors with its description)"
FORMAT = 2  # 1 had the affine matrix itself, not its displacements at the border


def tensors_under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names start with the prefix, by the rest of their names."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def write_tensors(
    path: Path, tensors: dict[str, Tensor], description: dict[str, Any]
) -> Path:
    """Writes tensors and a description to one safetensors file; returns its path.

    Raises:
        OutputError: If the file cannot be written.
    """
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    text = json.dumps({"format": FORMAT, **description})
    with whole_file(path) as partial:
        partial.write_bytes(save(contiguous, metadata={"voltween": text}))
    return path


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads tensors and description from a file that `write_tensors` wrote.

    Floating-point tensors become float32. They are copies: the file may go.

    Raises:
        InputError: If the file is missing, damaged, or not one of Voltween's.
    """
    try:
        with safe_open(path, framework="pt") as file:
            description = read_description(path, file.metadata())
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(
            about=path,
            expected=f"a Voltween model ({SUFFIX})",
            got="a file that is damaged or of another kind",
        ) from error
    floating = {
        n: t.to(torch.float32, copy=True) if t.is_floating_point() else t
        for n, t in tensors.items()
    }
    return floating, description


def check_finite(tensors: dict[str, Tensor], path: Path) -> None:
    """Checks that weights can be computed with.

    Raises:
        InputError: If one is NaN or infinite.
    """
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise InputError(
                about=path,
                expected="finite weights",
                got=f"NaN or infinite ones in {name}",
                advice="take another file: the training that wrote it had failed",
            )


def read_description(path: Path, metadata: dict[str, str] | None) -> dict[str, Any]:
    """Reads the description from the metadata of a tensor file.

    Raises:
        InputError: If there is none, or the file has another format.
    """
    text = (metadata or {}).get("voltween")
    if text is None:
        raise InputError(
            about=path, expected=_KIND, got="another program's safetensors file"
        )
    with naming(path):
        description = parsed_json(text, _KIND)
    if description.get("format") != FORMAT:
        raise InputError(
            about=path,
            expected=f"model format {FORMAT}",
            got=description.get("format"),
            advice="use the version of Voltween that wrote it, or a newer one",
        )
    return description
