"""Measures ADDD on a CUDA device: inference, and a training step with its memory.

    python runs/gpu.py --page docs/performance.md

Contenders take turns. A contender that fails, such as a compiled form of an operation
that cannot be compiled, is a line of the table. `--device cpu --side 16 --pairs 2
--no-compiles` shows on any machine that the script works; its figures mean nothing.
"""

import gc
import platform
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
import tyro
from torch import Tensor, nn

from voltween.benchmarks.markdown_tables import markdown_table
from voltween.benchmarks.naive_cascade import naive_copy, naive_objective
from voltween.benchmarks.timing import Repetitions, Timing, Work, alternate
from voltween.benchmarks.workloads import random_network, smooth_image
from voltween.training import VTN_LIVER, stage_losses, total_loss

STAGES, LEARNING_RATE = "ADDD", 1e-4
HEADING = "## On a CUDA device"
PLAIN = "plain PyTorch"
DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Measured:
    """One contender: its times, memory and error, or why there are none."""

    timing: Timing | None = None
    peak_bytes: int | None = None
    difference: float | None = None
    """Largest difference of the flow from plain PyTorch's in fp32, voxels."""
    failure: str = ""


@dataclass(frozen=True)
class Bench:
    """The device and the size of the measurement."""

    page: Path | None = None
    """Page whose section is replaced; if not given, the section is printed alone."""
    device: str = "cuda"
    side: int = 128
    pairs: int = 8
    """Pairs of a training step."""
    seconds: float = 8.0
    """Time per comparison."""
    compiles: bool = True
    """Measure `torch.compile`, which takes minutes."""

    def run(self) -> None:
        """Measures, prints and writes the section."""
        torch.backends.cudnn.benchmark = True
        text = "\n".join([HEADING, "", self._head(), "", *self._tables()])
        print(text)
        if self.page is not None:
            self.page.write_text(with_section(self.page.read_text("utf-8"), text))

    def _head(self) -> str:
        name = platform.processor() or "CPU"
        if self.device == "cuda":
            name = torch.cuda.get_device_name()
        return (
            f"{name}, torch {torch.__version__}, {datetime.now(UTC).date()}, by "
            f"`runs/gpu.sh`: {STAGES} at {self.side}^3. Medians, with the quartiles in "
            "brackets; fp32 convolutions use TF32 where cuDNN does by default. Memory "
            "is the peak during one call, weights and the optimizer's state included."
        )

    def _tables(self) -> list[str]:
        inference = self._measure(self._inference())
        training = self._measure(self._training())
        return [
            "### Inference, one pair\n",
            table(inference),
            f"\n### Training step, {self.pairs} pairs\n",
            table(training),
            "",
        ]

    def _images(self, pairs: int) -> tuple[Tensor, Tensor]:
        fixed, moving = (smooth_image(self.side, seed=n) for n in (1, 2))
        shape = pairs, 1, self.side, self.side, self.side
        return tuple(
            x.expand(shape).contiguous().to(self.device) for x in (fixed, moving)
        )

    def _cast(self, precision: str) -> torch.autocast | nullcontext:
        dtype = DTYPES[precision]
        return torch.autocast(self.device, dtype) if dtype else nullcontext()

    def _networks(self) -> dict[str, nn.Module]:
        ours = random_network(STAGES, self.side)
        return {
            "voltween": ours.to(self.device),
            PLAIN: naive_copy(ours).to(self.device),
        }

    def _inference(self) -> dict[str, Callable[[], Work]]:
        images = self._images(1)

        def prepare(name: str, precision: str, way: str) -> Work:
            network = self._networks()[name].eval()

            def flow() -> Tensor:
                with torch.no_grad(), self._cast(precision):
                    return network(*images).flow

            return {"": lambda: flow, "compiled": lambda: torch.compile(flow)}.get(
                way, lambda: graphed(flow)
            )()

        precisions = ["fp32", "bf16"] + ["fp16"] * (self.device == "cuda")
        ways = ["", *["compiled"] * self.compiles]
        ways += ["CUDA graph"] * (self.device == "cuda")
        return {
            " ".join(filter(None, (name, precision, way))): (
                lambda n=name, p=precision, w=way: prepare(n, p, w)
            )
            for name in (PLAIN, "voltween")
            for precision in precisions
            for way in ways
        }

    def _training(self) -> dict[str, Callable[[], Work]]:
        images = self._images(self.pairs)
        contenders: dict[str, Callable[[], Work]] = {
            f"{PLAIN} fp32": lambda: self._step(PLAIN, images, "fp32"),
            f"{PLAIN} bf16": lambda: self._step(PLAIN, images, "bf16"),
            "voltween fp32": lambda: self._step("voltween", images, "fp32"),
            "voltween bf16": lambda: self._step("voltween", images, "bf16"),
            "voltween fp16": lambda: self._step("voltween", images, "fp16"),
            "voltween bf16 recomputing": lambda: self._step(
                "voltween", images, "bf16", recomputes=True
            ),
            "voltween bf16 compiled": lambda: self._step(
                "voltween", images, "bf16", compiles=True
            ),
        }
        if not self.compiles:
            del contenders["voltween bf16 compiled"]
        return contenders

    def _step(
        self,
        name: str,
        images: tuple[Tensor, Tensor],
        precision: str,
        *,
        recomputes: bool = False,
        compiles: bool = False,
    ) -> Work:
        if (self.device, precision) == ("cpu", "fp16"):
            raise RuntimeError("no CPU trains in fp16")
        network = self._networks()[name]
        if recomputes:
            network.recomputes_features = True
        optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE, fused=True)
        scaler = torch.amp.GradScaler(self.device, enabled=precision == "fp16")

        def loss() -> Tensor:
            with self._cast(precision):
                tweening = network(*images)
            if name == PLAIN:
                return naive_objective(tweening, images[0])
            return total_loss(stage_losses(tweening, images[0], VTN_LIVER))

        objective = torch.compile(loss) if compiles else loss

        def work() -> None:
            optimizer.zero_grad()
            scaler.scale(objective()).backward()
            scaler.step(optimizer)
            scaler.update()

        return work

    def _measure(
        self, contenders: dict[str, Callable[[], Work]]
    ) -> dict[str, Measured]:
        """Measures memory one by one, and then times in turns."""
        results: dict[str, Measured] = {}
        works: dict[str, Work] = {}
        expected: Tensor | None = None
        for name, prepare in contenders.items():
            held_bytes = self._held_bytes()
            try:
                work = self._waiting(prepare())
                work()  # compiles, and makes the state of an optimizer
                peak, flow = self._peak_bytes(work, held_bytes)
                if isinstance(flow, Tensor):
                    flow = flow.float().clone()
                    expected = flow if expected is None else expected
                    difference = float((flow - expected).abs().max())
                    results[name] = Measured(None, peak, difference)
                else:
                    results[name] = Measured(None, peak)
                works[name] = work
            except Exception as error:  # every contender has its line
                lines = str(error).strip().splitlines() or [""]
                results[name] = Measured(failure=f"{type(error).__name__}: {lines[0]}")
                print(f"{name}: {results[name].failure}")
            self._free()
        repetitions = Repetitions(3, 30, self.seconds)
        for name, timing in alternate(works, repetitions).items():
            done = results[name]
            results[name] = Measured(timing, done.peak_bytes, done.difference)
        return results

    def _waiting(self, work: Work) -> Work:
        """The work, and the wait until the device has done it."""
        if self.device == "cpu":
            return work

        def waiting() -> object:
            result = work()
            torch.cuda.synchronize()
            return result

        return waiting

    def _held_bytes(self) -> int:
        return 0 if self.device == "cpu" else torch.cuda.memory_allocated()

    def _peak_bytes(self, work: Work, held_bytes: int) -> tuple[int | None, object]:
        """The peak of one call beyond what other contenders hold, and its result."""
        if self.device == "cpu":
            return None, work()
        torch.cuda.reset_peak_memory_stats()
        result = work()
        return torch.cuda.max_memory_allocated() - held_bytes, result

    def _free(self) -> None:
        gc.collect()
        if self.device == "cuda":
            torch.cuda.empty_cache()


def graphed(flow: Callable[[], Tensor]) -> Work:
    """The same work, captured once and replayed as one piece."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            flow()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = flow()

    def replay() -> Tensor:
        graph.replay()
        return result

    return replay


def table(results: dict[str, Measured]) -> str:
    """One row per contender; ratios are those of medians to plain PyTorch in fp32."""
    plain = next(r.timing for r in results.values() if r.timing is not None)
    rows = []
    for name, result in results.items():
        if result.timing is None:
            rows.append((name, result.failure, "", "", ""))
            continue
        low, high = (f"{1e3 * q:.1f}" for q in result.timing.quartiles)
        memory = result.peak_bytes
        rows.append(
            (
                name,
                f"{1e3 * result.timing.median:.1f} ms ({low}-{high})",
                f"{plain.median / result.timing.median:.2f}",
                "" if memory is None else f"{memory / 1e9:.2f} GB",
                "" if result.difference is None else f"{result.difference:.0e}",
            )
        )
    head = ("", "time", "times as fast as the first", "memory", "flow differs, voxels")
    return markdown_table(head, rows)


def with_section(page: str, section: str) -> str:
    """The page with the section of this heading replaced, or added at its end."""
    before, found, rest = page.partition(f"{HEADING}\n")
    _, mark, after = rest.partition("\n## ") if found else ("", "", "")
    return f"{before.rstrip()}\n\n{section.rstrip()}\n{mark}{after}"


if __name__ == "__main__":
    tyro.cli(Bench).run()
