"""A small DICOM series, and mutators of its elements and of its folder."""

import struct

import numpy as np

from fuzz.changes import FLOATS, TEXTS, Change, choose

_CT = "1.2.840.10008.5.1.4.1.1.2"
_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
_LONG = ("OB", "OW")
_HEADER = 132
_ITEM = b"\xfe\xff\x00\xe0"  # before every part of compressed pixels
_UNDEFINED = 0xFFFFFFFF  # length of what ends with a mark of its own


def series(voxels, spacing_mm=(1.2, 1.2, 2.0), origin=(5.0, -3.0, 9.0)):
    """Files of a CT series, by name, of voxels (I, J, K)."""
    files = {}
    for k in range(voxels.shape[2]):
        position = (*origin[:2], origin[2] + spacing_mm[2] * k)
        files[f"{k:03}.dcm"] = slice_file(voxels[:, :, k], position, k + 1, spacing_mm)
    return files


def slice_file(pixels, position, number, spacing_mm):
    """One slice as a file."""
    uid = f"1.9.{number}"
    meta = [
        (2, 1, "OB", b"\0\1"),
        (2, 2, "UI", _CT),
        (2, 3, "UI", uid),
        (2, 16, "UI", _LITTLE_ENDIAN),
    ]
    body = [
        (8, 0x16, "UI", _CT),
        (8, 0x18, "UI", uid),
        (8, 0x60, "CS", "CT"),
        (0x20, 0xD, "UI", "1.7"),
        (0x20, 0xE, "UI", "1.8"),
        (0x20, 0x13, "IS", number),
        (0x20, 0x32, "DS", "\\".join(map(str, position))),
        (0x20, 0x37, "DS", "1\\0\\0\\0\\1\\0"),
        (0x28, 2, "US", _short(1)),
        (0x28, 4, "CS", "MONOCHROME2"),
        (0x28, 0x10, "US", _short(pixels.shape[1])),
        (0x28, 0x11, "US", _short(pixels.shape[0])),
        (0x28, 0x30, "DS", f"{spacing_mm[1]}\\{spacing_mm[0]}"),
        (0x28, 0x100, "US", _short(16)),
        (0x28, 0x101, "US", _short(16)),
        (0x28, 0x102, "US", _short(15)),
        (0x28, 0x103, "US", _short(0)),
        (0x28, 0x1052, "DS", "-100"),
        (0x28, 0x1053, "DS", "1"),
        (0x7FE0, 0x10, "OW", pixels.T.astype("<u2").tobytes()),
    ]
    head = b"".join(_element(*e) for e in meta)
    length = _element(2, 0, "UL", struct.pack("<I", len(head)))
    return b"\0" * 128 + b"DICM" + length + head + b"".join(_element(*e) for e in body)


def dicom_elements(rng, content):
    """Changes the value of an element, or removes or repeats it."""
    elements = list(_parse(content))
    n = int(rng.integers(len(elements)))
    group, number, vr, value = elements[n]
    kind = choose(rng, ("set", "set", "set", "set", "out", "twice", "part"))
    if kind == "out":
        del elements[n]
    elif kind == "twice":
        elements.insert(n, elements[n])
    elif kind == "part" and b"\\" in value:
        parts = value.split(b"\\")
        odd = str(choose(rng, FLOATS)).encode()
        parts[int(rng.integers(len(parts)))] = odd
        elements[n] = (group, number, vr, b"\\".join(parts))
    else:
        odd = choose(rng, TEXTS)[:64].encode()
        odd = _short(int(choose(rng, (0, 1, 8, 16, 255, 65535)))) if vr == "US" else odd
        elements[n] = (group, number, vr, odd)
    told = elements[n][3][:30] if n < len(elements) else b""
    changed = content[:_HEADER] + b"".join(_element(*e) for e in elements)
    return Change(changed, f"({group:04x},{number:04x}) {kind}: {told}")


def change_folder(rng, files):
    """Removes, repeats, renames or adds a file of the folder: (files, what)."""
    name = choose(rng, sorted(files))
    kind = choose(rng, ("out", "twice", "alien", "empty", "text", "other series"))
    changed = dict(files)
    if kind == "out":
        del changed[name]
    elif kind == "twice":
        changed[f"copy of {name}"] = files[name]
    elif kind == "alien":
        changed["alien.dcm"] = rng.bytes(500)
    elif kind == "empty":
        changed[name] = b""
    elif kind == "text":
        changed["README"] = b"notes\n"
    else:
        changed[f"x{name}"] = files[name].replace(b"1.8\0", b"1.6\0")
    return changed, f"{name}, {kind}"


def example(shape=(8, 7, 6)):
    """Voxels of the series (I, J, K)."""
    return np.random.default_rng(5).integers(0, 900, shape)


def _short(number):
    return struct.pack("<H", number)


def _element(group, number, vr, value):
    value = value if isinstance(value, bytes) else str(value).encode()
    value += (b"\0" if vr in ("UI", *_LONG) else b" ") * (len(value) % 2)
    length = _UNDEFINED if value.startswith(_ITEM) else len(value)
    size = struct.pack("<I" if vr in _LONG else "<H", length)
    padding = b"\0\0" if vr in _LONG else b""
    return struct.pack("<HH", group, number) + vr.encode() + padding + size + value


def _parse(content):
    """The elements of a file of a series; compressed pixels are its rest."""
    at = _HEADER
    while at < len(content):
        group, number = struct.unpack("<HH", content[at : at + 4])
        vr = content[at + 4 : at + 6].decode()
        code, start = ("<I", at + 8) if vr in _LONG else ("<H", at + 6)
        (size,) = struct.unpack_from(code, content, start)
        value_at = start + struct.calcsize(code)
        yield group, number, vr, content[value_at : value_at + size]
        at = value_at + size
