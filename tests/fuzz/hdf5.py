"""Mutators of ITK's transforms in HDF5, through h5py."""

from io import BytesIO

import h5py
import numpy as np

from fuzz.changes import FLOATS, Change, choose

_TYPES = (
    *("AffineTransform_double_3_3", "CompositeTransform_double_3_3", "Nonsense"),
    *("DisplacementFieldTransform_double_3_3", "BSplineTransform_double_3_3", ""),
    *("AffineTransform_double_2_2", "AffineTransform_float_3_3", "x" * 3000),
    *("TranslationTransform_double_3_3", "Euler3DTransform_double_3_3"),
)
_SIZES = (0, -1, 1, 2, 1e3, 1e5, 1e9, 1e300, float("nan"), float("inf"), 7.5)


def hdf5_nodes(rng, content):
    """Changes types, parameters, links and groups of the file."""
    buffer = BytesIO(content)
    with h5py.File(buffer, "r+") as file:
        group = file["TransformGroup"]
        node = group[choose(rng, sorted(group))]
        mutate = choose(
            rng,
            (
                _set_type,
                *[_set_numbers] * 4,
                _resize,
                _remove,
                _link,
                _add_group,
                _other_dtype,
            ),
        )
        what = mutate(rng, node, group)
    return Change(buffer.getvalue(), f"{node_name(node, what)}")


def node_name(node, what):
    """The description of a change."""
    return what if not node else f"{node.name}: {what}"


def _parts(node):
    return [name for name in sorted(node) if "Parameters" in name]


def _set_type(rng, node, _):
    value = choose(rng, _TYPES)
    del node["TransformType"]
    node.create_dataset("TransformType", data=[value], dtype=h5py.string_dtype())
    return f"type {value[:40]}"


def _set_numbers(rng, node, _):
    parts = _parts(node)
    if not parts:
        return "nothing"
    name = choose(rng, parts)
    numbers = node[name][()].ravel()
    at = int(rng.integers(min(len(numbers), 20))) if len(numbers) else 0
    if not len(numbers):
        return "nothing"
    value = choose(rng, _SIZES if name.endswith("FixedParameters") else FLOATS)
    numbers[at] = value
    node[name][...] = numbers.reshape(node[name].shape)
    return f"{name}[{at}] = {value}"


def _resize(rng, node, _):
    parts = _parts(node)
    if not parts:
        return "nothing"
    name = choose(rng, parts)
    numbers = node[name][()].ravel()
    length = int(choose(rng, (0, 1, len(numbers) // 2, len(numbers) + 3)))
    del node[name]
    node[name] = np.resize(numbers, length) if len(numbers) else np.zeros(length)
    return f"{name} of {length} numbers"


def _remove(rng, node, _):
    name = choose(rng, sorted(node))
    del node[name]
    return f"{name} out"


def _link(rng, node, _):
    name = choose(rng, sorted(node))
    del node[name]
    node[name] = choose(
        rng,
        (
            h5py.ExternalLink("/tmp/other.h5", "/x"),
            h5py.SoftLink("/nowhere"),
            h5py.SoftLink("/TransformGroup"),
        ),
    )
    return f"{name} is a link"


def _add_group(rng, node, group):
    name = choose(rng, ("9", "-1", "x", "3"))
    if name not in group:
        group.copy(node, name)
    return f"copied as {name}"


def _other_dtype(rng, node, _):
    parts = _parts(node)
    if not parts:
        return "nothing"
    name, dtype = choose(rng, parts), choose(rng, ("f4", "i4", "i8", "S8", "f2"))
    numbers = node[name][()]
    del node[name]
    node[name] = numbers.astype(dtype)
    return f"{name} as {dtype}"
