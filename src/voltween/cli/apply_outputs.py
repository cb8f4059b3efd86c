"""The files that `apply` writes: one, or one per input in a folder."""

from collections.abc import Sequence
from pathlib import Path

from voltween import io
from voltween.errors import InputError

_OME_ZARR = ".ome.zarr"
_KEPT = (".nii.gz", ".nii", ".mha", _OME_ZARR, ".csv", ".fcsv", ".mrk.json")
_OTHERS = (".nrrd", ".nhdr", ".mhd", ".mgz", ".mgh", ".hdr", ".img", ".dcm", ".json")
_FURTHER = (".head", ".brik", ".brik.gz", ".mif", ".mif.gz", ".mih")


def plan_outputs(inputs: Sequence[Path], out: Path) -> list[Path]:
    """The files to write: `out` for one input, else files in the folder `out`.

    A file in a folder has the name of its input, with the suffix of NIfTI for images
    of formats that are not written.

    Raises:
        InputError: If two inputs would have one output, or several inputs have the name
            of a file.
    """
    if len(inputs) == 1 and not _is_folder(out):
        return [out]
    if not _is_folder(out) and _has_suffix_of_file(out):
        raise InputError(
            about=out,
            expected=f"a folder for {len(inputs)} inputs",
            got="the name of a file",
            advice="if some of them are transforms, name these by --transform",
        )
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
    return outputs


def _is_folder(out: Path) -> bool:
    """Whether it is there and a folder of results; an OME-Zarr image is one itself."""
    return out.is_dir() and not out.name.lower().endswith(_OME_ZARR)


def _has_suffix_of_file(out: Path) -> bool:
    name = out.name.lower()
    return name.endswith((*_KEPT, *_OTHERS, *_FURTHER)) or io.is_surface_file(out)


def _name(path: Path) -> str:
    name = path.name.replace("#", "_")
    if name.lower().endswith(_KEPT) or io.is_surface_file(path):
        return name
    for suffix in (*_OTHERS, *_FURTHER):
        if name.lower().endswith(suffix):
            end = ".mrk.json" if suffix == ".json" else ".nii.gz"
            return name[: -len(suffix)] + end
    return f"{name}.nii.gz"
