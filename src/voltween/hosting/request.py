"""The request of a program: files of a registration, and the choices of a form."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

MODELS = ("auto", "brain", "brain-any", "headneck", "hippocampus", "none")
"""Models that a form offers; the path of a model file is accepted as well."""
EFFORTS = ("auto", "none", "fast", "accurate")
"""Efforts of the refinement."""
TRANSFORMS = ("deformable", "affine", "similarity", "rigid")
"""Kinds of transform."""
SIMILARITIES = (
    "local correlation",
    "correlation",
    "mean squared error",
    "normalized mutual information",
    "MIND-SSC",
)
"""Similarities of images; the first one is the usual one."""
OUTPUTS = ("moved", "transform", "inverse", "overview", "report")
"""The outputs that are written beside registration.json."""


@dataclass(frozen=True)
class Request:
    """The registration that is asked for; files are absolute paths."""

    fixed: Path
    moving: Path
    out: Path
    """Folder for the result."""
    model: str = "auto"
    refine: str = "auto"
    transform: str = "deformable"
    similarity: str = ""
    """Similarity of the refinement; empty for the usual one."""
    no_folding: bool = False
    """Whether to change the transform around folds until nothing folds."""
    fixed_mask: Path | None = None
    moving_mask: Path | None = None

    def words(self) -> list[str]:
        """The command that does the same, as registration.json records it."""
        words = ["voltween", "register", str(self.fixed), str(self.moving)]
        words += ["--out", str(self.out), "--outputs", ",".join(OUTPUTS)]
        usual = Request(self.fixed, self.moving, self.out)
        for name in ("model", "refine", "transform", "similarity"):
            if getattr(self, name) != getattr(usual, name):
                words += [f"--{name}", getattr(self, name)]
        for name in ("fixed_mask", "moving_mask"):
            if (mask := getattr(self, name)) is not None:
                words += [f"--{name.replace('_', '-')}", str(mask)]
        return [*words, "--no-folding"] if self.no_folding else words

    def to_json(self) -> str:
        """The request as one line of JSON."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, line: str) -> "Request":
        """The request of such a line."""
        facts = json.loads(line)
        for name in ("fixed", "moving", "out", "fixed_mask", "moving_mask"):
            facts[name] = None if facts[name] is None else Path(facts[name])
        return cls(**facts)
