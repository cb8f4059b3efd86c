"""Command: turn a TensorFlow checkpoint of the authors' later code into a model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import Positional

from voltween.cli.results import report_written
from voltween.models import SUFFIX, Model, read_rcn_network, save_model
from voltween.networks import VolumeTweeningNetwork
from voltween.preprocessing import Placement, Preprocessing
from voltween.storage import check_is_no_input, check_suffix

_ORIGIN = "https://github.com/microsoft/Recursive-Cascaded-Networks"


@dataclass(frozen=True)
class ImportRcn:
    """Turn a checkpoint of Recursive-Cascaded-Networks into a model.

    TensorFlow is not needed. The checkpoint must have VTN as its base network. By
    default, the model is for arrays as the authors publish them (`voltween prepare
    rcn`): a grid of 1 mm voxels, and intensities from the darkest to the brightest.
    """

    checkpoint: Annotated[Positional[Path], tyro.conf.arg(metavar="CHECKPOINT")]
    """Path of the TensorFlow checkpoint, without .index or .data-00000-of-00001, or an
    .npz file of its variables by their names."""
    out: Path
    """Model file to write, such as model.safetensors."""
    repeats: int = 1
    """Passes of every dense subnetwork, with the same weights."""
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Voxel size of the network's grid."""
    placement: Placement = "grid centre"
    """Position of the grid on each scan."""
    axes: str = "RAS"
    """Anatomical directions of the grid's axes. RAS leaves arrays without a header as
    they are; the authors' demo turns scans with a header to RPI."""
    hounsfield_window: tuple[float, float] | None = None
    """For CT: the Hounsfield units that are mapped to 0 and 1; the authors' liver scans
    are cut at -25 265."""

    def run(self) -> None:
        """Read the weights and write the model."""
        check_suffix(self.out, (SUFFIX,), "a model")
        check_is_no_input(self.out)
        network = read_rcn_network(self.checkpoint, self.repeats)
        model = Model(
            name=self.out.name,
            network=network,
            preprocessing=self._preprocessing(network),
            provenance=self._provenance(),
        )
        path = save_model(model, self.out, is_half=False)
        config = network.config
        shape = " x ".join(map(str, config.shape))
        report_written(path, f"{config.title}, {shape} voxels")

    def _preprocessing(self, network: VolumeTweeningNetwork) -> Preprocessing:
        return Preprocessing(
            shape=network.config.shape,
            spacing_mm=self.spacing_mm,
            placement=self.placement,
            axes=self.axes,
            intensity_percentiles=(0.0, 100.0),
            hounsfield_window=self.hounsfield_window,
        )

    def _provenance(self) -> dict[str, Any]:
        return {"data": _ORIGIN, "checkpoint": self.checkpoint.name}
