"""Checkpoints in the layout of Recursive-Cascaded-Networks, with random weights.

The names, shapes and scopes are those that its TensorFlow 1 code gives its variables.
"""

import math
import struct

import numpy as np


def layers(channels, halvings):
    """Layers of the encoder: (name, inputs, outputs)."""
    inputs = 2
    for level in range(1, halvings + 1):
        outputs = channels * 2 ** (level - 1)
        yield f"conv{level}", inputs, outputs
        if level >= 3:
            yield f"conv{level}_1", outputs, outputs
        inputs = outputs


class Variables(dict):
    """Random variables by name, those of the optimizer among them."""

    def __init__(self, seed):
        super().__init__(is_training=np.array(False), beta1_power=np.float32(0.9))
        self.rng = np.random.default_rng(seed)

    def draw(self, name, *kernel, bound):
        values = self.rng.uniform(-bound, bound, kernel).astype(np.float32)
        self[f"gaffdfrm/{name}/W"] = values
        self[f"gaffdfrm/{name}/W/Adam"] = np.ones_like(values)
        self[f"gaffdfrm/{name}/W/Adam_1"] = np.ones_like(values)

    def convolution(self, name, inputs, outputs):
        bound = math.sqrt(3 / (27 * inputs))
        self.draw(name, 3, 3, 3, inputs, outputs, bound=bound)
        bias = self.rng.uniform(-0.1, 0.1, outputs).astype(np.float32)
        self[f"gaffdfrm/{name}/b"] = bias

    def transposed(self, name, inputs, outputs):
        bound = math.sqrt(3 / (8 * inputs))
        self.draw(name, 4, 4, 4, outputs, inputs, bound=bound)

    def encoder(self, stem, channels, halvings):
        for name, inputs, outputs in layers(channels, halvings):
            self.convolution(f"{stem}/{name}", inputs, outputs)

    def decoder(self, stem, channels, halvings):
        inputs = channels * 2 ** (halvings - 1)
        for fine in range(halvings - 1, 0, -1):
            outputs = channels * 2 ** (fine - 1)
            self.convolution(f"{stem}/pred{fine + 1}", inputs, 3)
            self.transposed(f"{stem}/upsamp{fine + 1}to{fine}", 3, 3)
            self.transposed(f"{stem}/deconv{fine}", inputs, outputs)
            inputs = 2 * outputs + 3
        self.transposed(f"{stem}/upsamp1to0", inputs, 3)


def rcn_variables(shape, channels=2, dense=2, halvings=6, seed=0):
    """The variables of an affine and several dense subnetworks."""
    variables = Variables(seed)
    variables.encoder("affine_stem", channels, halvings)
    head = *(n // 2**halvings for n in shape), channels * 2 ** (halvings - 1)
    variables.draw("affine_stem/conv7_W", *head, 9, bound=0.08)
    variables.draw("affine_stem/conv7_b", *head, 3, bound=2.0)
    for number in range(dense):
        variables.encoder(f"deform_stem_{number}", channels, halvings)
        variables.decoder(f"deform_stem_{number}", channels, halvings)
    return dict(variables)


def write_checkpoint(prefix, variables):
    """Writes a TensorFlow checkpoint: its table and its values; returns the prefix.

    Blocks of the table are small, and keys are cut, so that reading needs all parts.
    """
    values, entries = bytearray(), {b"": b"\x08\x01\x1a\x02\x08\x01"}
    for name in sorted(variables):
        array = np.asarray(variables[name])
        entries[name.encode()] = entry(array, len(values))
        values += array.tobytes()
    data = prefix.with_name(f"{prefix.name}.data-00000-of-00001")
    data.write_bytes(bytes(values))
    prefix.with_name(f"{prefix.name}.index").write_bytes(table(entries))
    return prefix


def entry(array, offset):
    """A BundleEntryProto."""
    dtype = {"float32": 1, "int64": 9, "bool": 10}[array.dtype.name]
    dimensions = [b"\x08" + varint(n) for n in array.shape]
    shape = b"".join(b"\x12" + varint(len(d)) + d for d in dimensions)
    message = b"\x08" + varint(dtype) + b"\x12" + varint(len(shape)) + shape
    if offset:  # zeros are left out
        message += b"\x20" + varint(offset)
    return message + b"\x28" + varint(array.nbytes) + b"\x35" + bytes(4)


def table(entries, block_entries=20):
    """A sorted table of LevelDB."""
    keys, result, index = sorted(entries), bytearray(), {}
    for first in range(0, len(keys), block_entries):
        part = keys[first : first + block_entries]
        place = append_block(result, {key: entries[key] for key in part})
        index[part[-1]] = place
    meta, place = append_block(result, {}), append_block(result, index)
    footer = meta + place
    return bytes(
        result + footer.ljust(40, b"\0") + 0xDB4775248B80FB57.to_bytes(8, "little")
    )


def append_block(result, entries, interval=16, compression=0):
    """Appends a block; returns its place as bytes."""
    block, last, restarts = bytearray(), b"", []
    for number, (key, value) in enumerate(entries.items()):
        shared = 0
        if number % interval == 0:
            restarts.append(len(block))
        else:
            while shared < min(len(key), len(last)) and key[shared] == last[shared]:
                shared += 1
        block += varint(shared) + varint(len(key) - shared) + varint(len(value))
        block += key[shared:] + value
        last = key
    restarts = restarts or [0]
    block += struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))
    place = varint(len(result)) + varint(len(block))
    block.append(compression)
    result += block + struct.pack("<I", masked(checksum(block)))
    return place


def varint(value):
    """Seven bits per byte, lowest first."""
    result = bytearray()
    while value >= 0x80:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*result, value])


def checksum(data):
    """CRC-32C by polynomial division of the bits, lowest first."""
    crc = 0xFFFFFFFF
    for byte in data:
        for bit in range(8):
            is_one = (crc ^ byte >> bit) & 1
            crc = (crc >> 1) ^ (0x82F63B78 * is_one)
    return crc ^ 0xFFFFFFFF


def masked(crc):
    """The checksum as LevelDB stores it."""
    return ((crc >> 15) + (crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
