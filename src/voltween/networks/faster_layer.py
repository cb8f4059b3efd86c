"""A packed layer in single precision or in bfloat16, whichever is faster here.

Even where the processor multiplies bfloat16 matrices, this does not pay for every
layer: small ones are limited by memory, minimal filtering takes fewer products in
single precision, and numbers are converted between layers of different precision.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from voltween.ops import decide

_TURNS = 3


class FasterLayer(nn.Module):
    """A layer in several forms, of which the first features show the fastest.

    The choice is kept in the cache folder, as those of the kernels are: results do not
    change from one process to the next.
    """

    def __init__(self, forms: Mapping[str, nn.Module]) -> None:
        """Takes the forms of the layer, by precision."""
        super().__init__()
        self._forms = dict(forms)
        self._fastest: nn.Module | None = None

    @property
    def leak(self) -> float | None:
        """Slope below 0 of the LeakyReLU that the layer includes, if any."""
        leak: float | None = next(iter(self._forms.values())).leak  # type: ignore[assignment]
        return leak

    @leak.setter
    def leak(self, leak: float) -> None:
        for form in self._forms.values():
            form.leak = leak  # type: ignore[assignment]

    def forward(self, x: Float[Tensor, "b c i j k"]) -> Float[Tensor, "b c2 i2 j2 k2"]:
        """Returns the features after the layer."""
        result: Tensor = self._form_for(x)(x)
        return result

    def join(
        self, coarse: Float[Tensor, "b c i1 j1 k1"], *arguments: Any
    ) -> Float[Tensor, "b c3 i j k"]:
        """Returns what the form's `join` returns."""
        form: Any = self._form_for(coarse)
        result: Tensor = form.join(coarse, *arguments)
        return result

    def _form_for(self, x: Tensor) -> nn.Module:
        """Returns the fastest form; the first call forgets all others."""
        if self._fastest is None:
            name = decide(self._title(x), lambda: self._seconds(x), list(self._forms))
            self._fastest = self._forms[name]
            self._forms = {name: self._fastest}
        return self._fastest

    def _title(self, x: Tensor) -> str:
        form: Any = next(iter(self._forms.values()))
        outputs, inputs, size = form.weight.shape[:3]
        voxels = " x ".join(map(str, x.shape[2:]))
        return (
            f"convolution {size}^3, stride {form.stride}, {inputs} to {outputs} "
            f"channels, {len(x)} x {voxels} voxels, {x.dtype}, "
            f"{torch.get_num_threads()} threads"
        )

    def _seconds(self, x: Tensor) -> dict[str, float]:
        """Shortest time of each form; the forms take turns."""
        seconds = {name: float("inf") for name in self._forms}
        for turn in range(_TURNS + 1):  # the first one packs the weights
            for name, form in self._forms.items():
                elapsed = _duration(lambda form=form: form(x))  # type: ignore[misc]
                seconds[name] = min(seconds[name], elapsed if turn else float("inf"))
        return seconds


def _duration(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
