"""Command: write a transform as another tool reads it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional

from voltween import io
from voltween.cli.reference_grid import read_reference_grid
from voltween.cli.results import report_written
from voltween.spatial import Affine
from voltween.storage import check_is_no_input


@dataclass(frozen=True)
class Convert:
    """Write a transform as another tool reads it, or read it from one.

    An affine transform becomes a matrix, and any other one a field of displacements at
    the voxels of the fixed scan. A DICOM registration belongs to the patient and the
    frame of reference of the fixed scan; both scans are DICOM then.
    """

    transform: Annotated[Positional[Path], tyro.conf.arg(metavar="TRANSFORM")]
    """Transform, fixed to moving: a file of ITK, ANTs, FSL, AFNI, FreeSurfer or X5, or
    a DICOM registration."""
    to: io.Target | Literal["dicom"]
    """itk (.h5, .tfm, .nii.gz), ants (.mat, or a warp .nii.gz), fsl (.mat of FLIRT, or
    a warp .nii.gz), afni (.1D, or a warp .nii.gz), freesurfer (.lta), x5 (.x5),
    learn2reg (.nii.gz), or dicom (.dcm, a spatial registration)."""
    fixed: Path
    """Fixed scan."""
    moving: Path
    """Moving scan."""
    out: Path
    """File to write."""
    convention: io.Convention | None = None
    """Convention of TRANSFORM if it is a field image and not ITK's: fsl, afni,
    learn2reg."""

    def run(self) -> None:
        """Read and write."""
        check_is_no_input(self.out)
        if self.to == "dicom":
            io.check_registration_name(self.out)
        else:
            io.check_target_name(self.to, self.out)
        fixed, moving = map(read_reference_grid, (self.fixed, self.moving))
        transform = io.read_transform(
            self.transform, convention=self.convention, fixed=fixed, moving=moving
        )
        if self.to == "dicom":
            scans = {"fixed": self.fixed, "moving": self.moving}
            io.write_dicom_registration(transform, self.out, **scans)
        else:
            io.write_for(self.to, transform, self.out, fixed=fixed, moving=moving)
        kind = "matrix" if isinstance(transform, Affine) else "transform"
        kind = "field" if io.is_field_name(self.out) else kind
        report_written(
            self.out,
            f"{kind} of {self.transform.name} for {self.to}, from "
            f"{self.fixed.name} (fixed) to {self.moving.name} (moving).",
        )
