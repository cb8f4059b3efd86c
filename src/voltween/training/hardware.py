"""Devices and processes of a training; they do not decide its result."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from voltween import process
from voltween.errors import InputError, check_range
from voltween.training.recipe import TrainingPrecision

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.plugins import Precision as FabricPrecision


_MOST = 1000  # processes


@dataclass(frozen=True)
class Hardware:
    """Devices and processes to train with.

    Under torchrun, the numbers of devices and nodes are those of torchrun.
    """

    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Kind of device; auto takes a GPU if there is one."""
    devices: int = 1
    """Devices per node; on CPUs, processes."""
    nodes: int = 1
    """Machines, started by Slurm or torchrun."""
    workers: int = 0
    """Processes per device that prepare its pairs, and that find target flows before
    (`voltween experiment`: that measure pairs after); 0 prepares them in the training
    process, which is best if the CPU trains."""

    def __post_init__(self) -> None:
        check_range("devices", self.devices, 1, _MOST)
        check_range("nodes", self.nodes, 1, _MOST)
        check_range("workers", self.workers, 0, _MOST)

    def fabric(self, precision: TrainingPrecision) -> "Fabric":
        """Starts and connects the processes; returns Lightning Fabric's handle on them.

        Raises:
            MissingPackageError: If Lightning Fabric is not installed.
            InputError: If there are no such devices.
        """
        process.require("lightning-fabric", extra="train", purpose="training")
        from lightning_fabric import Fabric  # 0.6 s

        try:
            with _without_advice_on_slurm():
                fabric = Fabric(
                    accelerator=self.accelerator,
                    devices=int(os.environ.get("LOCAL_WORLD_SIZE", self.devices)),
                    num_nodes=int(os.environ.get("GROUP_WORLD_SIZE", self.nodes)),
                    plugins=_precision_plugin(precision, self._device_type),
                )
        except (ValueError, RuntimeError) as error:
            raise InputError(
                about="devices for training",
                expected=f"{self.devices} of the kind {self.accelerator!r}",
                got=error,
            ) from error
        fabric.launch()
        return fabric

    @property
    def _device_type(self) -> str:
        if self.accelerator != "auto":
            return self.accelerator
        return "cuda" if torch.cuda.is_available() else "cpu"


@contextmanager
def _without_advice_on_slurm() -> Iterator[None]:
    """Suppresses Lightning's advice to start with srun wherever srun is installed.

    A training on one machine of a cluster is a normal use, and the advice would be
    printed by every run there.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The `srun` command is available on your")
        yield


def _precision_plugin(
    precision: TrainingPrecision, device_type: str
) -> "FabricPrecision":
    from lightning_fabric.plugins import MixedPrecision
    from lightning_fabric.plugins import Precision as SinglePrecision

    class MixedFeatures(MixedPrecision):
        """Computes features in half precision and leaves the inputs as they are.

        Inputs are images, label maps and flows, which need their full precision.
        """

        def convert_input(self, data: Any) -> Any:
            return data

    if precision == "fp32":
        return SinglePrecision()
    name: Literal["bf16-mixed", "16-mixed"]
    name = "bf16-mixed" if precision == "bf16" else "16-mixed"
    return MixedFeatures(name, device_type)
