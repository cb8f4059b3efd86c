"""Commands on folders of small files, as tests run them in their own process."""

import torch

from support.scans import FIXED, MOVING, label_blocks, tiny_model
from voltween import io
from voltween.cli import main
from voltween.models import save_model


def write_pair(folder):
    """Writes two scans, their labels and a tiny model to a folder."""
    io.write(FIXED, folder / "fixed.nii.gz")
    io.write(MOVING, folder / "moving.nrrd")
    io.write(label_blocks(FIXED.grid), folder / "fixed_labels.nii.gz")
    io.write(label_blocks(MOVING.grid), folder / "moving_labels.nii.gz")
    save_model(tiny_model(strength=0.1), folder / "tiny.safetensors")
    return folder


def run_here(*words):
    """The exit code of a command that runs in this process, with one thread.

    Most of the time of a process of its own would go into imports.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        main(list(map(str, words)))
    except SystemExit as end:
        return end.code
    finally:
        torch.set_num_threads(threads)
    return 0


def register(folder, *options, **changes):
    """Registers the folder's files, with some of them changed, and other options."""
    files = {
        "fixed": "fixed.nii.gz",
        "moving": "moving.nrrd",
        "model": "tiny.safetensors",
        "out": "result",
    } | changes
    main(
        ["register", str(folder / files["fixed"]), str(folder / files["moving"])]
        + ["--model", str(folder / files["model"]), "--out", str(folder / files["out"])]
        + [
            word
            for key in ("fixed_labels", "moving_labels")
            if key in files
            for word in (f"--{key.replace('_', '-')}", str(folder / files[key]))
        ]
        + [*options]
    )
    return folder / files["out"]
