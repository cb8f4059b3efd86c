"""Weights of the authors' later code (Recursive Cascaded Networks) as a network.

That code, in TensorFlow 1, names its variables SUBNETWORK/LAYER/W and /b, in the scope
"gaffdfrm". Its volumes are (batch, x, y, z, channel), its kernels (x, y, z, input,
output), those of transposed convolutions (x, y, z, output, input). Component c of a
flow is along axis c, in voxels, as here.

References:
    https://github.com/microsoft/Recursive-Cascaded-Networks, network/
"""

import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from voltween.errors import InputError
from voltween.models.tensor_bundle import INDEX, read_bundle
from voltween.networks import CascadeConfig, VolumeTweeningNetwork
from voltween.storage import existing_file, naming

_NAME = re.compile(r"(?:.*/)?(affine_stem|deform_stem_\d+)/(\w+)/([Wb])(?::0)?")
_AFFINE = "affine_stem"
_DENSE = "deform_stem_"
_UNKNOWN_SHAPE = (128, 128, 128)  # of the authors' data; without an affine subnetwork

Variables = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class _Stem:
    """The variables of one subnetwork, by LAYER/W or LAYER/b."""

    name: str
    variables: Variables

    @property
    def halvings(self) -> int:
        """Number of the last strided convolution: conv1, conv2, ..."""
        numbers = [re.fullmatch(r"conv(\d+)/W", name) for name in self.variables]
        return max((int(match[1]) for match in numbers if match), default=0)

    @property
    def channels(self) -> int:
        """Channels after the first convolution."""
        return int(self["conv1/W"].shape[-1])

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.variables:
            raise InputError(
                about=f"{self.name}/{name}",
                expected="the layers of a Volume Tweening Network",
                got="no such variable",
                advice="only checkpoints with VTN as their base network can be read",
            )
        values = self.variables[name]
        axes = 5 if name.endswith("/W") else 1
        if values.ndim != axes:
            raise InputError(
                about=f"{self.name}/{name}",
                expected=f"{axes} axes",
                got=f"the shape {values.shape}",
            )
        if not np.isfinite(values).all():
            raise InputError(
                about=f"{self.name}/{name}",
                expected="finite weights",
                got="NaN or infinity",
            )
        return values


def read_rcn_network(path: Path, repeats: int = 1) -> VolumeTweeningNetwork:
    """Reads the weights in a checkpoint of Recursive-Cascaded-Networks.

    Args:
        path: The prefix of a TensorFlow checkpoint, its .index, or an .npz of the
            variables by their names.
        repeats: Passes of every dense subnetwork; the checkpoint does not tell.

    Raises:
        InputError: If a file is missing, damaged or of another network.
    """
    variables = _read_npz(path) if path.suffix == ".npz" else _read_checkpoint(path)
    with naming(path):
        return rcn_network(variables, repeats)


def rcn_network(variables: Variables, repeats: int = 1) -> VolumeTweeningNetwork:
    """Builds the network that has these variables of a checkpoint.

    Raises:
        InputError: If a variable is missing or has another shape than expected.
    """
    stems = _stems(variables)
    network = VolumeTweeningNetwork(_config(stems, repeats))
    expected = network.state_dict()
    state: dict[str, Tensor] = {}
    for stem in stems.values():
        for (name, source), values in _weights(stem, network.config):
            if values.shape != expected[name].shape:
                raise InputError(
                    about=f"{stem.name}/{source}",
                    expected=f"{expected[name].numel()} weights, as for "
                    f"{network.config.channels} channels after the first convolution",
                    got=f"the shape {stem[source].shape}",
                )
            state[name] = values
    network.load_state_dict(state)
    return network.eval()


def _read_checkpoint(path: Path) -> Variables:
    prefix = path.with_name(path.name.removesuffix(INDEX))
    if not prefix.with_name(prefix.name + INDEX).is_file():
        raise InputError(
            about=path,
            expected="the path of a checkpoint's files without .index, or an .npz file "
            "of its variables",
            got=f"no file {prefix.name}{INDEX}",
        )
    return read_bundle(prefix)


def _read_npz(path: Path) -> Variables:
    try:
        with np.load(existing_file(path)) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (zipfile.BadZipFile, ValueError, EOFError) as error:
        raise InputError(
            about=path,
            expected="an .npz file of numeric arrays",
            got="a file that is damaged or of another kind",
        ) from error


def _stems(variables: Variables) -> dict[str, _Stem]:
    """The subnetworks in order, affine first; other variables belong to training."""
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, values in variables.items():
        if match := _NAME.fullmatch(name):
            stem, layer, kind = match.groups()
            found.setdefault(stem, {})[f"{layer}/{kind}"] = values
    dense = [f"{_DENSE}{number}" for number in range(len(found.keys() - {_AFFINE}))]
    names = [_AFFINE, *dense] if _AFFINE in found else dense
    if not found or found.keys() != set(names):
        raise InputError(
            expected=f"variables of {_AFFINE}, {_DENSE}0, {_DENSE}1, ...",
            got=", ".join(sorted(found)) or f"{len(variables)} others",
        )
    return {name: _Stem(name, found[name]) for name in names}


def _config(stems: Mapping[str, _Stem], repeats: int) -> CascadeConfig:
    affine = stems.get(_AFFINE)
    dense = [stem for stem in stems.values() if stem is not affine]
    first = next(iter(stems.values()))
    shape = _UNKNOWN_SHAPE
    if affine is not None:
        i, j, k = (n * 2**affine.halvings for n in affine["conv7_W/W"].shape[:3])
        shape = (i, j, k)
    return CascadeConfig.of_rcn(
        "A" * (affine is not None) + "D" * len(dense),
        shape,
        channels=first.channels,
        levels=dense[0].halvings if dense else first.halvings,
        affine_levels=first.halvings,
        repeats=repeats,
    )


_Weights = Iterator[tuple[tuple[str, str], Tensor]]  # (our name, theirs), values


def _weights(stem: _Stem, config: CascadeConfig) -> _Weights:
    """All weights of a subnetwork, under their names in the whole network."""
    is_affine = stem.name == _AFFINE
    halvings = config.affine_halvings if is_affine else config.halvings
    if stem.halvings != halvings:
        raise InputError(
            about=stem.name,
            expected=f"{halvings} strided convolutions, as in the other subnetworks",
            got=stem.halvings,
        )
    own = "affine." if is_affine else f"dense.{stem.name.removeprefix(_DENSE)}."
    weights = _affine_weights(stem) if is_affine else _dense_weights(stem)
    for (name, source), values in weights:
        yield (own + name, source), values


def _affine_weights(stem: _Stem) -> _Weights:
    yield from _encoder_weights(stem)
    matrix, translation = stem["conv7_W/W"], stem["conv7_b/W"]
    if (matrix.shape[-1], translation.shape) != (9, (*matrix.shape[:-1], 3)):
        raise InputError(
            about=f"{stem.name}/conv7_W and conv7_b",
            expected="9 and 3 outputs of the same features",
            got=f"the shapes {matrix.shape} and {translation.shape}",
        )
    # Ours are in voxels at the border of the grid, theirs per voxel from its center.
    from_center = matrix.shape[:3] * np.array(2**stem.halvings / 2)
    at_border = matrix * np.tile(from_center, 3).astype(np.float32)
    numbers = np.concatenate([at_border, translation], axis=-1)
    yield ("head.weight", "conv7_W/W"), _tensor(numbers, 4, 3, 0, 1, 2).flatten(1)


def _dense_weights(stem: _Stem) -> _Weights:
    yield from _encoder_weights(stem)
    for step, fine in enumerate(range(stem.halvings - 1, 0, -1)):
        coarse, own = fine + 1, f"steps.{step}."
        yield from _convolution(stem, f"pred{coarse}", f"{own}prediction")
        for layer, name in (
            (f"upsamp{coarse}to{fine}", "prediction_upsampling"),
            (f"deconv{fine}", "feature_upsampling"),
        ):
            yield _transposed(stem, layer, own + name)
    yield _transposed(stem, "upsamp1to0", "flow")


def _encoder_weights(stem: _Stem) -> _Weights:
    for level in range(1, stem.halvings + 1):
        own = f"encoder.levels.{level - 1}"
        yield from _convolution(stem, f"conv{level}", f"{own}.0.0")
        if level >= 3:
            yield from _convolution(stem, f"conv{level}_1", f"{own}.1.0")


def _convolution(stem: _Stem, layer: str, own: str) -> _Weights:
    kernel, bias = f"{layer}/W", f"{layer}/b"
    yield (f"{own}.weight", kernel), _tensor(stem[kernel], 4, 3, 0, 1, 2)
    yield (f"{own}.bias", bias), _tensor(stem[bias], 0)


def _transposed(stem: _Stem, layer: str, own: str) -> tuple[tuple[str, str], Tensor]:
    kernel = f"{layer}/W"
    return (f"{own}.weight", kernel), _tensor(stem[kernel], 4, 3, 0, 1, 2)


def _tensor(values: np.ndarray, *axes: int) -> Tensor:
    """The values in float32 with their axes in another order."""
    return torch.from_numpy(values.transpose(axes).astype(np.float32))
