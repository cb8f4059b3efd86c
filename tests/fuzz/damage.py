"""Mutators that know nothing of a format: cuts, flipped bits, moved and alien bytes."""

import gzip
import zlib

from fuzz.changes import Change, as_damage, choose


def cut(rng, content):
    """Cuts the end off, at any place or close to either end."""
    size = len(content)
    near = int(rng.integers(1, 40))
    length = choose(rng, (int(rng.integers(size)), max(size - near, 0), near, 0))
    return Change(content[:length], f"cut to {length} of {size} bytes", is_damage=True)


def flip_bits(rng, content):
    """Flips 1 to 8 bits."""
    changed = bytearray(content)
    places = rng.integers(0, 8 * len(content), int(choose(rng, (1, 1, 2, 8))))
    for place in places:
        changed[place // 8] ^= 1 << (place % 8)
    at = ", ".join(f"{place // 8}.{place % 8}" for place in places)
    return Change(bytes(changed), f"bits flipped at {at}")


def set_bytes(rng, content):
    """Sets one to eight neighboring bytes to a boundary value."""
    length = int(choose(rng, (1, 2, 4, 8)))
    at = int(rng.integers(max(len(content) - length, 1)))
    value = choose(rng, (b"\0", b"\xff", b"\x7f", b"\x80")) * length
    return Change(
        content[:at] + value + content[at + length :], f"{value.hex()} at byte {at}"
    )


def insert_bytes(rng, content):
    """Inserts bytes."""
    at = int(rng.integers(len(content) + 1))
    alien = rng.bytes(int(choose(rng, (1, 2, 4, 100))))
    return Change(content[:at] + alien + content[at:], f"{len(alien)} bytes in at {at}")


def remove_bytes(rng, content):
    """Removes bytes."""
    at, length = int(rng.integers(len(content))), int(choose(rng, (1, 2, 4, 100)))
    return Change(content[:at] + content[at + length :], f"{length} bytes out at {at}")


def swap_chunks(rng, content):
    """Exchanges two pieces of equal length."""
    length = max(len(content) // int(choose(rng, (3, 8, 50))), 1)
    one, other = sorted(rng.integers(0, max(len(content) - length, 1), 2).tolist())
    changed = bytearray(content)
    changed[one : one + length] = content[other : other + length]
    changed[other : other + length] = content[one : one + length]
    return Change(bytes(changed), f"{length} bytes at {one} and {other} exchanged")


def append_bytes(rng, content):
    """Appends bytes, or the whole file once more."""
    more = choose(rng, (b"\0" * 16, rng.bytes(64), content))
    return Change(content + more, f"{len(more)} bytes appended")


def replace_all(rng, content):
    """Replaces the whole content by something of another kind."""
    others = {
        "nothing": b"",
        "zeros": b"\0" * len(content),
        "noise": rng.bytes(len(content)),
        "text": b"not what was expected\n" * 20,
        "a gzip": gzip.compress(b"hello" * 99, mtime=0),
        "a page": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
        "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\n"
        b"oid sha256:" + b"0" * 64 + b"\nsize 12345\n",
        "a zip": b"PK\x03\x04" + rng.bytes(200),
        "a JSON": b"{}",
    }
    name = choose(rng, tuple(others))
    is_damage = name not in ("zeros", "noise")  # voxels may be anything
    return Change(others[name], f"replaced by {name}", is_damage)


BYTES = (
    *(cut, flip_bits, flip_bits, set_bytes, insert_bytes, remove_bytes),
    *(swap_chunks, append_bytes, replace_all),
)
DAMAGE = tuple(map(as_damage, BYTES))
"""For content with a checksum: whatever is read differently is wrong."""


def inside_gzip(mutator):
    """The mutator of what a gzip holds; the gzip around it is right."""

    def mutate(rng, content):
        inner = mutator(rng, gzip.decompress(content))
        packed = gzip.compress(inner.content, mtime=0)
        return Change(packed, f"inside the gzip: {inner.what}", inner.is_damage)

    return mutate


def shorter_gzip(rng, content):
    """A gzip of two members, of fewer bytes, or with a wrong length or checksum."""
    plain = gzip.decompress(content)
    half = len(plain) // 2
    made = {
        "two members": gzip.compress(plain[:half], mtime=0)
        + gzip.compress(plain[half:], mtime=0),
        "half of it": gzip.compress(plain[:half], mtime=0),
        "a wrong checksum": content[:-8] + b"\1\2\3\4" + content[-4:],
        "a wrong length": content[:-4] + b"\1\2\3\4",
        "no trailer": content[:-8],
        "zlib instead": zlib.compress(plain),
        "gzip in gzip": gzip.compress(content, mtime=0),
    }
    name = choose(rng, tuple(made))
    return Change(made[name], name, is_damage=True)
