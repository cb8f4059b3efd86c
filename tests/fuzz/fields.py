"""Mutators of binary headers whose fields are at fixed places."""

import struct
from dataclasses import dataclass

from fuzz.changes import FLOATS, INTEGERS, Change, choose


@dataclass(frozen=True)
class Field:
    """A field of a header, or several equal ones that follow one another."""

    name: str
    offset: int
    code: str
    """As in `struct`, for one of them."""
    count: int = 1
    values: tuple = ()
    """Values of its own beside the boundary values."""


_TYPES = (2, 4, 8, 16, 32, 64, 128, 256, 512, 768, 1024, 1280, 1536, 1792, 2048, 2304)
NIFTI_1 = (
    Field("sizeof_hdr", 0, "i", values=(348, 540)),
    Field("dim", 40, "h", 8),
    Field("dim", 40, "h", 5),
    Field("intent_code", 68, "h", values=(1006, 1007, 1002)),
    Field("datatype", 70, "h", values=(1, *_TYPES)),
    Field("datatype", 70, "h", values=_TYPES * 3),
    Field("bitpix", 72, "h", values=(1, 8, 16, 24, 32, 64, 96, 128)),
    Field("pixdim", 76, "f", 8),
    Field("vox_offset", 108, "f", values=(348, 352, 400, 1e4)),
    Field("scl_slope", 112, "f"),
    Field("scl_inter", 116, "f"),
    Field("xyzt_units", 123, "B", values=(1, 2, 3, 10, 18)),
    Field("qform_code", 252, "h"),
    Field("sform_code", 254, "h"),
    Field("quatern", 256, "f", 3),
    Field("qoffset", 268, "f", 3),
    Field("srow", 280, "f", 12),
    Field("magic", 344, "4s", values=(b"ni1\0", b"n+1\0", b"n+2\0", b"\0" * 4)),
)
MGH = (
    Field("version", 0, "i"),
    Field("dims", 4, "i", 4),
    Field("type", 20, "i", values=(0, 1, 3, 4)),
    Field("goodRASFlag", 28, "h"),
    Field("spacing", 30, "f", 3),
    Field("directions", 42, "f", 12),
)
MATLAB_4 = (
    Field("type", 0, "i", values=(10, 11, 20, 50, 1000)),
    Field("rows", 4, "i", values=(9, 12, 13)),
    Field("columns", 8, "i"),
    Field("imaginary", 12, "i"),
    Field("length of the name", 16, "i"),
)


def set_fields(fields, order="<"):
    """A mutator that sets one or two fields to boundary values."""

    def mutate(rng, content):
        changed, told = bytearray(content), []
        for _ in range(int(choose(rng, (1, 1, 2)))):
            field = choose(rng, fields)
            which = int(rng.integers(field.count))
            value = choose(rng, _values(field))
            packed = _pack(order, field.code, value)
            at = field.offset + which * len(packed)
            changed[at : at + len(packed)] = packed
            told.append(f"{field.name}[{which}] = {value}")
        return Change(bytes(changed), ", ".join(told))

    return mutate


def _values(field):
    if field.code == "4s":
        return field.values
    return (*(FLOATS if field.code in "fd" else INTEGERS), *field.values)


def _pack(order, code, value):
    """The value in the field; whole numbers lose the bits that do not fit."""
    if code in "fd":
        return struct.pack(order + code, value)
    if isinstance(value, bytes):
        return value
    size = struct.calcsize(code)
    return (value % 256**size).to_bytes(size, "little" if order == "<" else "big")
