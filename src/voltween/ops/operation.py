"""One object per operation that is compiled from `src/native`."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.library import register_autograd

from voltween.ops.forking import allow_forks
from voltween.ops.native import runs_compiled

allow_forks()  # whoever forks has imported an operation by then


class Kernel(NamedTuple):
    """One compiled function, forward or backward, as PyTorch has to know it."""

    run: Callable[..., Any]
    """Checks its arguments, calls the compiled function and returns the results.

    Its annotations are the schema: `Tensor`, `int`, `float`, `bool`, `Sequence[bool]`.
    """
    allocate: Callable[..., Any]
    """Returns empty results of the right shapes, dtypes and memory layout.

    It takes the arguments of `run`, which calls it; `torch.compile` calls it alone,
    with symbols in place of sizes.
    """


Saved = tuple[tuple[Tensor, ...], tuple[Any, ...]]
"""The tensors and the settings (numbers) that the backward function is called with."""


def save_inputs(inputs: tuple[Any, ...], output: Tensor) -> Saved:
    """All inputs: the tensors, then the settings, each in their order."""
    tensors = tuple(value for value in inputs if isinstance(value, Tensor))
    settings = tuple(value for value in inputs if not isinstance(value, Tensor))
    return tensors, settings


class NativeOperation:
    """An operation `voltween::NAME` in its compiled and its stock form.

    Calling the object runs the compiled form if it is there and all tensors are on the
    CPU, or else the stock form. Both are differentiable.

    Creating the object registers `voltween::NAME` and `voltween::NAME_backward` with
    PyTorch: schema, CPU implementation, fake implementation and gradient rule. It does
    not use `torch.library.custom_op`, which imports PyTorch's compiler at the first
    call: most of a second for every command.
    """

    def __init__(
        self,
        name: str,
        *,
        forward: Kernel,
        backward: Kernel,
        stock: Callable[..., Tensor],
        saves: Callable[[tuple[Any, ...], Tensor], Saved] = save_inputs,
        skips_unwanted: bool = False,
    ) -> None:
        """Registers the operation.

        Args:
            name: Name below `voltween::`.
            forward: The compiled function.
            backward: Its gradient. Called with the saved tensors, the gradient of the
                output, the saved settings and, if `skips_unwanted`, one truth value per
                tensor of the inputs. It returns the gradients of the leading inputs.
            stock: The same function of PyTorch's own operations.
            saves: Chooses what the backward function gets from (inputs, output).
            skips_unwanted: Whether the backward function is told which gradients are
                wanted, and leaves the others empty.
        """
        self.name = name
        self.compiled = _register(name, forward)
        self.stock = stock
        self._backward = _register(f"{name}_backward", backward)
        self._saves = saves
        self._skips_unwanted = skips_unwanted
        register_autograd(
            f"voltween::{name}", self._gradients, setup_context=self._save
        )

    def __call__(self, *arguments: Any) -> Any:
        """Returns the result of the form that can be had for the arguments' device."""
        tensors = (value for value in arguments if isinstance(value, Tensor))
        form = self.compiled if runs_compiled(*tensors) else self.stock
        return form(*arguments)

    def _save(self, ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        tensors, ctx.settings = self._saves(inputs, output)
        ctx.save_for_backward(*tensors)
        ctx.tensor_count = sum(isinstance(value, Tensor) for value in inputs)

    def _gradients(self, ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        needs = list(ctx.needs_input_grad)
        wants = [needs[: ctx.tensor_count]] if self._skips_unwanted else []
        results = self._backward(*ctx.saved_tensors, gradient, *ctx.settings, *wants)
        gradients = results if isinstance(results, tuple) else (results,)
        missing = (None,) * (len(needs) - len(gradients))
        pairs = zip((*gradients, *missing), needs, strict=True)
        return tuple(result if is_needed else None for result, is_needed in pairs)


def _register(name: str, kernel: Kernel) -> Callable[..., Any]:
    full_name = f"voltween::{name}"
    schema = torch.library.infer_schema(kernel.run, mutates_args=())
    torch.library.define(full_name, schema)
    torch.library.impl(full_name, "cpu", kernel.run)
    # Not `register_fake`, which looks for its caller in the files of all modules.
    torch.library.impl(full_name, "meta", kernel.allocate)
    return getattr(torch.ops.voltween, name)
