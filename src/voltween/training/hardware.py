"""Where training runs; it does not decide what comes out."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from voltween.errors import InputError
from voltween.training.recipe import TrainingPrecision

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.plugins import Precision as FabricPrecision


@dataclass(frozen=True)
class Hardware:
    """Devices and processes to train with.

    Under torchrun the numbers of devices and nodes are torchrun's.
    """

    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """auto takes a GPU where there is one."""
    devices: int = 1
    """Devices on each node; on CPUs, processes."""
    nodes: int = 1
    """Machines, started by Slurm or torchrun."""
    workers: int = 0
    """Processes beside each device that prepare its pairs; 0 prepares them in the
    training process, which is best where the CPU trains."""

    def fabric(self, precision: TrainingPrecision) -> "Fabric":
        """The devices, with processes started and connected.

        Raises:
            InputError: If there are no such devices.
        """
        from lightning_fabric import Fabric  # 0.6 s, needed for training alone

        try:
            fabric = Fabric(
                accelerator=self.accelerator,
                devices=int(os.environ.get("LOCAL_WORLD_SIZE", self.devices)),
                num_nodes=int(os.environ.get("GROUP_WORLD_SIZE", self.nodes)),
                plugins=_precision_plugin(precision, self._device_type),
            )
        except (ValueError, RuntimeError) as error:
            raise InputError(
                f"cannot train on {self.devices} device(s) of kind "
                f"{self.accelerator!r}: {error}"
            ) from error
        fabric.launch()
        return fabric

    @property
    def _device_type(self) -> str:
        if self.accelerator != "auto":
            return self.accelerator
        return "cuda" if torch.cuda.is_available() else "cpu"


def _precision_plugin(
    precision: TrainingPrecision, device_type: str
) -> "FabricPrecision":
    from lightning_fabric.plugins import MixedPrecision
    from lightning_fabric.plugins import Precision as SinglePrecision

    class MixedFeatures(MixedPrecision):
        """Leaves what goes in as it is: images, label maps and flows, not features."""

        def convert_input(self, data: Any) -> Any:
            return data

    if precision == "fp32":
        return SinglePrecision()
    name: Literal["bf16-mixed", "16-mixed"]
    name = "bf16-mixed" if precision == "bf16" else "16-mixed"
    return MixedFeatures(name, device_type)
