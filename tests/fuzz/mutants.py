"""Mutants: a file or folder that one seed has changed."""

import zlib
from dataclasses import dataclass, replace

import numpy as np

from fuzz import damage, dicom, fields, hdf5, texts, trees
from fuzz.changes import choose

_NIFTI_FIELDS = fields.set_fields(fields.NIFTI_1)
_NRRD_HEADER = texts.header_lines(b": ", b"")
_META_HEADER = texts.header_lines(b" = ", b"ElementDataFile")
_TABLE = (*[texts.csv_cells] * 4, *[texts.csv_form] * 2)
_TREE = (*[trees.json_nodes] * 4, trees.json_form)
_TEXT_LINES = texts.header_lines(b": ", b"FixedParameters")

# The mutators beside those of plain bytes, by the suffix of a file. A format's own
# mutators are taken twice as often as those of bytes.
MUTATORS = {
    ".nii": (_NIFTI_FIELDS,),
    ".hdr": (_NIFTI_FIELDS,),
    ".nii.gz": (
        *[damage.inside_gzip(_NIFTI_FIELDS)] * 4,
        *map(damage.inside_gzip, (damage.flip_bits, damage.cut, damage.insert_bytes)),
        damage.shorter_gzip,
    ),
    ".mgz": (
        *[damage.inside_gzip(fields.set_fields(fields.MGH, ">"))] * 3,
        damage.inside_gzip(damage.cut),
    ),
    ".nrrd": (_NRRD_HEADER,),
    ".nhdr": (_NRRD_HEADER,),
    ".mha": (_META_HEADER,),
    ".mhd": (_META_HEADER,),
    ".dcm": (dicom.dicom_elements,),
    ".h5": (hdf5.hdf5_nodes,),
    ".tfm": (_TEXT_LINES,),
    ".txt": (_TEXT_LINES,),
    ".mat": (fields.set_fields(fields.MATLAB_4),),
    ".csv": _TABLE,
    ".fcsv": _TABLE,
    ".json": _TREE,
    ".toml": (texts.toml_lines,),
    ".safetensors": (
        trees.safetensors_header,
        *[trees.safetensors_description] * 3,
        trees.safetensors_length,
        trees.safetensors_weights,
    ),
}
_CHECKED = (".nii.gz", ".mgz")
"""Suffixes of files that hold a checksum of all their content."""
_LISTS = {"only.txt"}
"""Text files without lines of key and value."""
_PLAIN = {".csv", ".fcsv", ".json", ".toml", ".txt", ".tfm"}
"""Suffixes of text, whose end is not known: a shorter one may be whole."""


@dataclass(frozen=True)
class Mutant:
    """The files that a seed makes of an original."""

    files: dict[str, bytes]
    primary: str
    """The name of what is read; "." for the folder."""
    what: str
    is_damage: bool = False


def make_mutant(subject, files, primary, seed):
    """The mutant of a seed of an original, whose `files` are by name in its folder."""
    rng = np.random.default_rng([zlib.crc32(subject.name.encode()), seed])
    names = sorted(n for n in files if subject.changed in ("*", n))
    if subject.rival == "series" and rng.random() < 0.25:
        return Mutant(*_swap(dicom.change_folder(rng, files), primary))
    if subject.suffixes and len(files) == 1 and rng.random() < 0.06:
        return _renamed(rng, subject, files, primary)
    name = choose(rng, names)
    change = choose(rng, _mutators(name, files[name]))(rng, files[name])
    if subject.rival == "series" and rng.random() < 0.3:
        return _in_all(subject, files, name, seed)
    is_damage = change.is_damage and suffix_of(name) not in _PLAIN
    what = f"{name}: {change.what}" if len(files) > 1 else change.what
    return Mutant(files | {name: change.content}, primary, what, is_damage)


def _swap(changed, primary):
    files, what = changed
    return files, primary, what


def _in_all(subject, files, name, seed):
    """The same mutation in every file of a series."""
    changed = {}
    for each in files:
        rng = np.random.default_rng([9, seed])
        change = dicom.dicom_elements(rng, files[each])
        changed[each] = change.content
    return Mutant(changed, ".", f"all files: {change.what}")


def _renamed(rng, subject, files, primary):
    suffix = choose(rng, subject.suffixes)
    name = f"renamed{suffix}"
    return Mutant({name: files[primary]}, name, f"named {name}")


def _mutators(name, content):
    suffix = suffix_of(name)
    own = () if name in _LISTS else MUTATORS.get(suffix, ())
    packed = _payload_mutator(suffix, content)
    if packed:
        own = (*own, packed)
    plain = damage.DAMAGE if suffix in _CHECKED else damage.BYTES
    repeats = -(-2 * len(plain) // len(own)) if own else 0
    return (*own * repeats, *plain)


def _payload_mutator(suffix, content):
    """A mutator of the compressed part of a file whose header is text."""
    if suffix == ".nrrd" and b"encoding: gzip" in content:
        start = content.index(b"\n\n") + 2
    elif suffix == ".mha" and b"CompressedData = True" in content:
        start = content.index(b"\n", content.index(b"ElementDataFile")) + 1
    elif suffix in (".zraw", ".raw.gz"):
        start = 0
    else:
        return None

    def mutate(rng, whole):
        inner = choose(rng, damage.DAMAGE)(rng, whole[start:])
        content = whole[:start] + inner.content
        return replace(inner, content=content, what=f"payload: {inner.what}")

    return mutate


def suffix_of(name):
    """The suffix by which mutators are chosen."""
    lower = name.lower()
    if lower.endswith((".nii.gz", ".raw.gz")):
        return lower[-7:]
    return lower[lower.rfind(".") :]
