"""Writes the fingerprint of its training scans into a model file without one.

    python runs/fingerprints.py MODEL.safetensors MANIFEST [--is-ct] [--masked]

Measures at most 40 `train` scans of the manifest. Only the description in the file
changes; the bytes of the weights stay the same.
"""

import json
import struct
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import tyro
from shared import Manifest

from voltween.cohorts import read_manifest
from voltween.storage import whole_file
from voltween.training.model_fingerprint import measure_training_scans


@dataclass(frozen=True)
class Fingerprints:
    """Write the fingerprint of its training scans into a model file."""

    model: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MODEL")]
    """Model file, which is replaced."""
    manifest: Manifest
    """The cohort it was trained on."""
    is_ct: bool = False
    """The scans are CT in Hounsfield units."""
    masked: bool = False
    """The training also saw the scans masked by their labels."""

    def run(self) -> None:
        """Measure and write."""
        fingerprint = measure_training_scans(
            read_manifest(self.manifest), is_ct=self.is_ct, is_masked=self.masked
        )
        if fingerprint is None:
            raise SystemExit("the scans are not of this modality")
        content = self.model.read_bytes()
        header, weights = split(content)
        description = json.loads(header["__metadata__"]["voltween"])
        description["fingerprint"] = asdict(fingerprint)
        header["__metadata__"]["voltween"] = json.dumps(description)
        with whole_file(self.model) as partial:
            partial.write_bytes(joined(header, weights))


def split(content: bytes) -> tuple[dict, bytes]:
    """Header and weights of a safetensors file."""
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def joined(header: dict, weights: bytes) -> bytes:
    """A safetensors file; its weights start at a multiple of 8 bytes."""
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + weights


if __name__ == "__main__":
    tyro.cli(Fingerprints).run()
