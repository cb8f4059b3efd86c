"""Mutators of JSON, alone and in the header of a safetensors file."""

import copy
import json
import struct

from fuzz.changes import Change, choose

_ODD = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 0.5, 1e308, -1e308),
    *(
        float("nan"),
        float("inf"),
        "",
        "abc",
        "nan",
        "1",
        "\x00",
        "\x1b[31m",
        "x" * 9999,
    ),
    *([], {}, [[]], [None], [1, 2], [1, 2, 3, 4], {"a": 1}, ["a", "b", "c"]),
)


def json_nodes(rng, content):
    """Changes, removes or repeats a node of the tree."""
    tree = json.loads(content)
    root = [tree]
    holder, key = choose(rng, list(_places(root)))
    kind = choose(rng, ("set", "set", "set", "out", "twice", "key", "text"))
    told = ""
    if kind == "out":
        del holder[key]
    elif kind == "twice" and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    elif kind == "key" and isinstance(holder, dict):
        holder[f"x{key}"] = holder.pop(key)
    elif kind == "text":
        holder[key] = str(holder[key])
    else:
        odd = choose(rng, _ODD)
        told = f" = {str(odd)[:40]}" if not isinstance(odd, int) else " = a number"
        holder[key] = odd
    changed = _dump(root[0]) if root else b""
    return Change(changed, f"JSON node {key!r}, {kind}{told}")


def json_form(rng, content):
    """The same tree in another encoding, or what a parser trips over."""
    text = content.decode()
    forms = {
        "deep lists": b"[" * 100_000 + b"]" * 100_000,
        "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        "UTF-16": text.encode("utf-16"),
        "UTF-8 with BOM": text.encode("utf-8-sig"),
        "a list around": b"[" + content + b"]",
        "an object around": b'{"a":' + content + b"}",
        "null": b"null",
        "a number": b"17",
        "a text": b'"text"',
        "an empty list": b"[]",
        "an empty object": b"{}",
        "twice": content + content,
        "a long number": b"9" * 5000,
        "Latin-1": text.replace("a", "ä").encode("latin-1", "replace"),
        "a lone surrogate": text.replace("a", "\\ud800").encode(),
    }
    name = choose(rng, tuple(forms))
    return Change(forms[name], name)


def _places(node):
    """Every holder and key of a tree."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in list(items):
        yield node, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _dump(tree):
    try:
        return json.dumps(tree).encode()
    except ValueError:  # a whole number of more digits than Python writes
        return b"9" * 5000


def safetensors_header(rng, content):
    """Changes the header of a safetensors file; its length is right."""
    head, data = _split(content)
    inner = json_nodes(rng, head)
    return Change(_join(inner.content, data), f"header: {inner.what}")


def safetensors_description(rng, content):
    """Changes Voltween's description in the header of a safetensors file."""
    head, data = _split(content)
    tree = json.loads(head)
    mutate = choose(rng, (json_nodes, json_nodes, json_nodes, json_form))
    inner = mutate(rng, tree["__metadata__"]["voltween"].encode())
    text = inner.content.decode("utf-8", "replace")
    tree["__metadata__"]["voltween"] = text
    return Change(_join(_dump(tree), data), f"description: {inner.what}")


def safetensors_length(rng, content):
    """Sets the length of the header."""
    length = choose(rng, (0, 1, 8, len(content), 2**31, 2**63, 2**64 - 1))
    return Change(struct.pack("<Q", length) + content[8:], f"header length {length}")


def safetensors_weights(rng, content):
    """Writes numbers that are not finite into the weights, which are float32."""
    head, data = _split(content)
    at = 4 * int(rng.integers(len(data) // 4))
    value = choose(rng, (float("nan"), float("inf"), float("-inf"), 1e38))
    changed = data[:at] + struct.pack("<f", value) + data[at + 4 :]
    return Change(_join(head, changed), f"a weight is {value}")


def _split(content):
    (length,) = struct.unpack("<Q", content[:8])
    return content[8 : 8 + length], content[8 + length :]


def _join(head, data):
    return struct.pack("<Q", len(head)) + head + data
