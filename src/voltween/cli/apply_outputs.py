"""The files that `apply` writes: one, or one per input in a folder."""

from collections.abc import Sequence
from pathlib import Path

from voltween import io
from voltween.errors import InputError
from voltween.storage import output_folder

_KEPT = (".nii.gz", ".nii", ".mha", ".ome.zarr", ".csv", ".fcsv", ".mrk.json")
_OTHERS = (".nrrd", ".nhdr", ".mhd", ".mgz", ".mgh", ".hdr", ".img", ".dcm", ".json")
_FURTHER = (".head", ".brik", ".brik.gz", ".mif", ".mif.gz", ".mih")


def plan_outputs(inputs: Sequence[Path], out: Path) -> list[Path]:
    """The files to write: `out` for one input, else files in the folder `out`.

    A file in a folder has the name of its input, with the suffix of NIfTI for images
    of formats that are not written.

    Raises:
        InputError: If two inputs would have one output.
        OutputError: If the folder cannot be made.
    """
    if len(inputs) == 1 and not out.is_dir():
        return [out]
    outputs = [out / _name(path) for path in inputs]
    for number, path in enumerate(outputs):
        if path in outputs[:number]:
            first = inputs[outputs.index(path)]
            raise InputError(
                about=inputs[number],
                expected="inputs of different names, which their results get",
                got=f"the result {path.name}, as for {first}",
                advice="apply the transform to one of them in a call of its own",
            )
    output_folder(out)
    return outputs


def _name(path: Path) -> str:
    name = path.name.replace("#", "_")
    if name.lower().endswith(_KEPT) or io.is_surface_file(path):
        return name
    for suffix in (*_OTHERS, *_FURTHER):
        if name.lower().endswith(suffix):
            end = ".mrk.json" if suffix == ".json" else ".nii.gz"
            return name[: -len(suffix)] + end
    return f"{name}.nii.gz"
