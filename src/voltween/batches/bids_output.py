"""Results as a BIDS derivative: names, JSON sidecars, and the files of a data set."""

import json
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from voltween.batches.bids_input import entities_of
from voltween.batches.layout import FAILED, PARTS, RECORDS, THUMBNAILS, Layout
from voltween.storage import write_if_changed
from voltween.workers import SLURM_LOGS

_BIDS_VERSION = "1.10.0"
_SOURCE = "raw"  # the name of the source data set in links
_RESULT = ".result"
_FOLDERS = (RECORDS, FAILED, THUMBNAILS, PARTS, SLURM_LOGS)
_IGNORED = """# Files that BIDS has no names for, or not yet (transforms: BEP 14).
**/*_xfm.*
**/*_overview.png
**/*_registration.json
**/*_points.csv
**/*_jacobian.nii.gz
*.html
*.csv
*.md
""" + "".join(f"{folder}\n{folder}/**\n" for folder in _FOLDERS)

_README = """Registrations by Voltween: transforms, images and labels.

index.html shows all pairs, worst first. Repeat the command to do what is missing.
"""


@dataclass(frozen=True)
class BidsLayout(Layout):
    """The names of BIDS derivatives for one pair of a BIDS data set."""

    case: str
    """The entities of the moving scan, such as sub-01_ses-2."""
    target: str
    """The label of the fixed scan, such as MNI152: ASCII letters and digits."""
    moving_uri: str
    fixed_uri: str

    @property
    def folder(self) -> str:
        """A folder from which the files are moved to their places."""
        return _RESULT

    @property
    def shown_folder(self) -> str:
        """The folder of the moving scan in the derivative."""
        entities = entities_of(self.case)
        session = [f"ses-{entities['ses']}"] if "ses" in entities else []
        return "/".join([f"sub-{entities['sub']}", *session, "anat"])

    def facts(self) -> dict[str, str]:
        """The names, and where the sidecars say that the scans are."""
        return {"bids": f"{self.case} {self.target}", **self._sources()}

    @property
    def report(self) -> str:
        """The page beside the folders of the subjects."""
        return f"{self.case}_to-{self.target}.html"

    def arrange(self, root: Path) -> None:
        """Moves the files to their places, and writes their sidecars."""
        result, anat = root / _RESULT, root / self.shown_folder
        anat.mkdir(parents=True)
        for file, (end, kind) in self._names().items():
            if (result / file).exists():
                path = anat / f"{self.case}_{end}"
                (result / file).rename(path)
                if kind:
                    self._write_sidecar(path, kind)
        if (result / "report.html").exists():
            (result / "report.html").rename(root / self.report)
        shutil.rmtree(result)

    def _names(self) -> dict[str, tuple[str, str]]:
        """The end of the name of every file, and the kind of its sidecar."""
        to_fixed = f"from-T1w_to-{self.target}_mode-image_xfm"
        to_moving = f"from-{self.target}_to-T1w_mode-image_xfm"
        space, other = f"space-{self.target}", f"to-{self.target}"
        return {
            "fixed_to_moving.h5": (f"{to_fixed}.h5", "to fixed"),
            "fixed_to_moving.nii.gz": (f"{to_fixed}.nii.gz", "to fixed"),
            "moving_to_fixed.h5": (f"{to_moving}.h5", "to moving"),
            "moved.nii.gz": (f"{space}_T1w.nii.gz", "moved"),
            "moved_labels.nii.gz": (f"{space}_dseg.nii.gz", "moved labels"),
            "carried_labels.nii.gz": (f"seg-{self.target}_dseg.nii.gz", "carried"),
            "jacobian.nii.gz": (f"{space}_jacobian.nii.gz", ""),
            "carried_points.csv": (f"desc-{self.target}_points.csv", ""),
            "moved_points.csv": (f"{space}_points.csv", ""),
            "overview.png": (f"{other}_overview.png", ""),
            "registration.json": (f"{other}_registration.json", ""),
        }

    def _write_sidecar(self, path: Path, kind: str) -> None:
        """Writes what BIDS wants to know of an image or a transform."""
        reference = self.moving_uri if kind in ("to moving", "carried") else None
        facts: dict[str, Any] = {
            "Description": _DESCRIPTIONS[kind],
            "Sources": [self.moving_uri, self.fixed_uri],
            "SpatialReference": reference or self.fixed_uri,
        }
        if kind == "moved":
            facts["SkullStripped"] = False  # a raw scan of a BIDS data set
        stem = path.name.split(".")[0]
        text = json.dumps(facts, indent=1)
        path.with_name(f"{stem}.json").write_text(text, encoding="utf-8")

    def _sources(self) -> dict[str, str]:
        return {"moving": self.moving_uri, "fixed": self.fixed_uri}


_DESCRIPTIONS = {
    "to fixed": "Takes images from the T1-weighted scan to the other space: an ITK "
    "transform, which maps points of that space to the scan.",
    "to moving": "Takes images from the other space to the T1-weighted scan: an ITK "
    "transform, which maps points of the scan to that space.",
    "moved": "On the voxels of the other space.",
    "moved labels": "The labels of the scan on the voxels of the other space.",
    "carried": "The labels of the other space on the voxels of the T1-weighted scan.",
}


def bids_uri(path: Path, data_set: Path) -> str:
    """The URI of a file: within the source data set, or of a file elsewhere."""
    try:
        inner = path.absolute().relative_to(data_set.absolute())
    except ValueError:
        return path.absolute().as_uri()
    return f"bids:{_SOURCE}:{inner.as_posix()}"


def write_data_set(out: Path, source: Path) -> None:
    """Writes the files that make a folder a BIDS derivative of a data set.

    Raises:
        OutputError: If the folder cannot be written to.
    """
    uri = source.absolute().as_uri()
    facts = {
        "Name": "Registrations by Voltween",
        "BIDSVersion": _BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "Voltween", "Version": version("voltween")}],
        "SourceDatasets": [{"URL": uri}],
        "DatasetLinks": {_SOURCE: uri},
    }
    write_if_changed(out / "dataset_description.json", json.dumps(facts, indent=1))
    write_if_changed(out / ".bidsignore", _IGNORED)
    write_if_changed(out / "README", _README)
