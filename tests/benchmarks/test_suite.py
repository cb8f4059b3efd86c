"""The benchmarks: results equal to the plain forms, and costs checked by hand."""

import json
from dataclasses import replace

import pytest
import torch

from voltween import losses, ops
from voltween.benchmarks import Settings, cascades, growth, naive, workloads
from voltween.benchmarks.cold_start import Command
from voltween.benchmarks.costs import (
    Cost,
    cascade_cost,
    convolution_cost,
    dense_layers,
    encoder_layers,
    step_costs,
    sum_costs,
    upsampling_cost,
    warp_cost,
)
from voltween.benchmarks.layers import measure_layers
from voltween.benchmarks.machine import Limits
from voltween.benchmarks.memory import peak_bytes
from voltween.benchmarks.naive_cascade import naive_copy, naive_objective
from voltween.benchmarks.roofline import StepResult
from voltween.benchmarks.timing import (
    Repetitions,
    Timing,
    alternate,
    ratio_of_medians,
    ratio_of_minima,
    threads,
)
from voltween.benchmarks.workloads import (
    Workload,
    random_network,
    smooth_flow,
    smooth_image,
)
from voltween.cli import main
from voltween.networks import CascadeConfig, VolumeTweeningNetwork
from voltween.training import VTN_LIVER, stage_losses, total_loss

SIDE = 16
IMAGE, OTHER = smooth_image(SIDE, seed=1), smooth_image(SIDE, seed=2)
FLOW, INNER = smooth_flow(SIDE, seed=3), smooth_flow(SIDE, seed=4)


class TestNaive:
    @pytest.mark.parametrize(
        ("ours", "plain", "inputs"),
        [
            (ops.warp, naive.naive_warp, (IMAGE, FLOW)),
            (ops.compose, naive.naive_compose, (FLOW, INNER)),
            (losses.correlation_loss, naive.naive_correlation_loss, (IMAGE, OTHER)),
            (
                losses.local_correlation_loss,
                naive.naive_local_correlation_loss,
                (IMAGE, OTHER),
            ),
            (losses.total_variation_loss, naive.naive_total_variation_loss, (FLOW,)),
            (ops.jacobian_determinant, naive.naive_jacobian_determinant, (FLOW,)),
        ],
    )
    def test_operations_equal_ours(self, ours, plain, inputs):
        torch.testing.assert_close(ours(*inputs), plain(*inputs), rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize("stages", ["ADD", "DD"])
    def test_cascade_equals_ours(self, stages):
        network = random_network(stages, SIDE)
        ours, plain = (form(IMAGE, OTHER) for form in (network, naive_copy(network)))
        assert ours.stages[-1].own_flow.abs().max() > 0.1
        for name in ("own_flow", "flow", "moved"):
            ours_tensor = getattr(ours.stages[-1], name)
            plain_tensor = getattr(plain.stages[-1], name)
            torch.testing.assert_close(ours_tensor, plain_tensor, rtol=1e-5, atol=1e-5)
        ours_parts, plain_parts = ours.stages[-1].parts[:3], plain.stages[-1].parts[:3]
        torch.testing.assert_close(ours_parts, plain_parts, rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize(
        "settings", [{"sees": "edges"}, {"repeats": 2}, {"padding": "same-tf"}]
    )
    def test_cascade_has_every_setting_of_ours(self, settings):
        network = random_network("ADD", SIDE)
        other = VolumeTweeningNetwork(replace(network.config, **settings))
        other.load_state_dict(network.state_dict())
        usual, ours, plain = (
            form(IMAGE, OTHER) for form in (network, other, naive_copy(other))
        )
        assert (ours.flow - usual.flow).abs().max() > 0.1  # the setting matters
        assert [s.name for s in plain.stages] == [s.name for s in ours.stages]
        torch.testing.assert_close(ours.flow, plain.flow, rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("stages", ["A", "AD", "ADDD", "DD"])
    def test_objective_equals_ours(self, stages):
        tweening = random_network(stages, SIDE)(IMAGE, OTHER)
        ours = total_loss(stage_losses(tweening, IMAGE, VTN_LIVER))
        torch.testing.assert_close(ours, naive_objective(tweening, IMAGE))

    def test_mutual_information_of_two_even_values_is_log_2(self):
        values = torch.tensor([[0.0, 1.0] * 50])
        itself = naive.naive_mutual_information(values, 1 - values, decay=100.0)
        assert itself.item() == pytest.approx(torch.tensor(2.0).log().item())
        constant = naive.naive_mutual_information(values, 0 * values, decay=100.0)
        assert constant.item() == pytest.approx(0, abs=1e-6)


class TestMeasure:
    def test_ratios_are_of_medians_and_of_minima(self):
        slow, fast = Timing((4.0, 9.0, 6.0)), Timing((2.0, 1.0, 8.0))
        assert ratio_of_medians(slow, fast) == 3
        assert ratio_of_minima(slow, fast) == 4

    def test_quartiles(self):
        assert Timing((5.0, 1.0, 2.0, 3.0, 4.0)).quartiles == (2, 4)
        assert Timing((7.0,)).quartiles == (7, 7)

    def test_contenders_take_turns(self):
        calls = []
        contenders = {name: (lambda name=name: calls.append(name)) for name in "ab"}
        timings = alternate(contenders, Repetitions(2, 3, 60.0))
        assert "".join(calls) == "ab" * 4  # the first of each to warm up
        assert all(len(timing.seconds) == 3 for timing in timings.values())

    def test_time_over_ends_after_the_fewest_rounds(self):
        timings = alternate({"a": lambda: None}, Repetitions(2, 30, 0.0))
        assert len(timings["a"].seconds) == 2

    def test_threads_are_given_back(self):
        before = torch.get_num_threads()
        with threads(1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == before

    def test_peak_holds_the_result_and_not_the_weights(self):
        peak = peak_bytes(Workload("inference", "plain PyTorch", "D", 64))
        if peak is None:
            pytest.skip("the peak is read from Linux's /proc")
        flow_bytes = 3 * 64**3 * 4
        assert 2 * flow_bytes < peak < 113_000_000  # weights: 28.3 million numbers


class TestCosts:
    def test_convolution_by_hand(self):
        # 2 channels to 5 on 10 voxels: 27 x 2 products and as many sums for each of 50
        # numbers; read 20 numbers and 27 x 2 x 5 + 5 weights, written 50.
        assert convolution_cost(2, 5, 10) == Cost(50 * 54 * 2, 4 * (20 + 275 + 50))

    def test_transposed_convolution_has_8_taps_an_output(self):
        cost = upsampling_cost(7, 3, 1000)
        assert cost.operations == 2 * 8 * 7 * 3 * 8000

    def test_encoder_is_its_layers(self):
        layers = (
            convolution_cost(2, 16, 8**3, stride=2),
            convolution_cost(16, 32, 4**3, stride=2),
            convolution_cost(32, 64, 2**3, stride=2),
            convolution_cost(64, 64, 2**3),
        )
        costs = [layer.cost for layer in encoder_layers(16, 3, (16, 16, 16))]
        assert sum_costs(costs) == sum_costs(layers)

    def test_performed_operations_by_hand(self):
        layer = dense_layers(CascadeConfig("D", (32, 32, 32)))[-1]
        assert layer.cost.operations == 2 * 64 * 35 * 3 * 16**3
        panel = ops.winograd_convolution(
            torch.zeros(24, 35, 2, 2, 2), None, (1, 35, 16, 16, 16)
        )
        if panel is None:
            assert layer.performed_cost == layer.cost
            return
        # F(3, 2): 6^3 tiles for 17^3 voxels, 64 products per pair of channels; the
        # transforms have 4 additions per line.
        columns = panel.weight.shape[0] * panel.weight.shape[3]
        lines = 16 + 4 * 3 + 9
        additions = 4 * (3 * 16 * 35 + lines * columns)
        expected = 6**3 * (2 * 64 * 35 * columns + additions)
        assert layer.performed_cost.operations == expected

    def test_layers_are_those_of_the_network(self):
        config = CascadeConfig("D", (32, 32, 32))
        network = random_network("D", 32).dense[0]
        parameters = dict(network.named_parameters())
        for layer in dense_layers(config):
            weight = parameters.pop(f"{layer.module}.weight", None)
            weight = parameters.pop(f"{layer.module}.0.weight", weight)
            phases = 8 if layer.is_upsampling else 1
            assert weight.shape[:2] == (phases * layer.outputs, layer.inputs)
        assert not [name for name in parameters if name.endswith("weight")]

    def test_weights_of_a_dense_subnetwork_are_the_papers(self):
        costs = step_costs(CascadeConfig("D", (128, 128, 128)))
        parts = [costs[name] for name in ("encoder", "decoder", "last layer")]
        # What is read and written besides weights grows with the voxels; weights not.
        larger = step_costs(CascadeConfig("D", (256, 256, 256)))
        grown = [larger[name] for name in ("encoder", "decoder", "last layer")]
        weights = (8 * _sum(parts).bytes - _sum(grown).bytes) / 7 / 4
        assert weights == 28_252_203

    def test_cascade_is_the_sum_of_its_steps(self):
        config = CascadeConfig("DD", (32, 32, 32))
        costs = step_costs(config)
        dense = [costs[n] for n in ("encoder", "decoder", "last layer", "warp")]
        assert cascade_cost(config) == _sum([*dense, *dense, costs["composition"]])

    def test_share_of_the_limit(self):
        limits = Limits(1e9, 1e9, 2e9, None)
        memory = StepResult("", 0, Cost(10**9, 10**9), Timing((3.0, 2.0)))
        assert memory.is_limited_by_memory(limits)
        assert memory.share_of_limit(limits) == 0.5
        arithmetic = StepResult("", 0, Cost(4 * 10**9, 10**9), Timing((2.0,)))
        assert not arithmetic.is_limited_by_memory(limits)
        assert arithmetic.share_of_limit(limits) == 1

    def test_warp_reads_flow_and_image_and_writes(self):
        assert warp_cost(1, 10).bytes == 10 * 4 * (3 + 1 + 1)


def _sum(costs):
    return sum_costs(costs)


@pytest.fixture(name="no_memory")
def no_memory_fixture(monkeypatch):
    """Peak memory costs a process each, and has its own test."""
    for module in (cascades, growth):
        monkeypatch.setattr(module, "peak_bytes", lambda workload: 12_345_678)
    command = Command(Timing((2.0,)), 87_654_321)
    monkeypatch.setattr(
        growth,
        "measure_command",
        lambda side, counts, _: dict.fromkeys(counts, command),
    )


@pytest.mark.usefixtures("no_memory")
class TestNetworks:
    REPETITIONS = Repetitions(1, 1, 0.0)

    def test_bf16_runs_where_the_processor_is_fast(self, monkeypatch):
        monkeypatch.setattr(cascades, "has_fast_bf16", lambda: True)
        monkeypatch.setattr(workloads, "optimize", lambda network, precision: network)
        results = list(cascades.measure_cascade("D", SIDE, self.REPETITIONS))
        ours = ["voltween", "voltween bf16"]
        inferring = [*ours, "voltween auto"]
        assert list(results[0].timings) == [*inferring, "plain PyTorch"]
        assert list(results[0].differences) == inferring
        steps = [*ours, "voltween recomputing", "plain PyTorch"]
        assert list(results[1].timings) == steps

    def test_growth_has_all_tasks_and_numbers_of_threads(self):
        with threads(2):
            results = list(growth.measure_growth((32, 512), self.REPETITIONS))
        tasks = ["ADDD", "training step", "refinement", "warp", "whole command"]
        expected = [(32, task) for task in tasks] + [(512, "whole command")]
        assert [(result.side, result.task) for result in results] == expected
        assert all(list(result.timings) == [1, 2] for result in results)

    def test_every_layer_is_timed_in_both_forms(self):
        results = list(measure_layers(32, self.REPETITIONS))
        assert results[-1].layer.name == "last layer"
        assert all(len(result.timings) == 2 for result in results)

    def test_voxelmorph_infers_and_trains(self):
        pytest.importorskip("voxelmorph")
        results = list(cascades.measure_voxelmorph(32, self.REPETITIONS))
        names = {"ADDD", "VoxelMorph", "VoxelMorph-2"}
        assert [result.purpose for result in results] == ["inference", "training"]
        assert all(set(result.timings) == names for result in results)


@pytest.mark.usefixtures("no_memory")
class TestCommand:
    def test_quick_run_writes_its_files(self, tmp_path, capsys, monkeypatch):
        monkeypatch.setattr(Settings, "repetitions", Repetitions(1, 1, 0.0))
        main(["bench", "--quick", "--sizes", "16", "--out", str(tmp_path)])
        page = (tmp_path / "performance.md").read_text("utf-8")
        assert "voltween bench --sizes 16 --quick" in page
        assert "| warp, 3 channels | forward, backward |" in page
        assert "| ADD | voltween |" in page
        assert "| local correlation of a warped image | forward, backward |" in page
        assert "| inverse of a displacement field | forward |" in page
        assert "| 16^3 | training step |" in page
        assert "| last layer, 35 to 3 |" in page
        assert "| ADDD, whole |" in page
        assert "12 MB" in page
        assert "A quick run" in page
        assert "None" not in page
        results = json.loads((tmp_path / "results.json").read_text("utf-8"))
        assert {"machine", "limits", "operations", "networks"} <= set(results)
        # The two inversions each end at an error of 0.001 voxels.
        assert all(case["difference"] < 5e-3 for case in results["operations"])
        assert "Performance" in capsys.readouterr().out

    def test_parts_can_be_chosen(self, tmp_path, monkeypatch):
        monkeypatch.setattr(Settings, "repetitions", Repetitions(1, 1, 0.0))
        arguments = ["--sizes", "32", "--parts", "growth", "layers"]
        main(["bench", "--quick", *arguments, "--out", str(tmp_path)])
        page = (tmp_path / "performance.md").read_text("utf-8")
        headings = [line for line in page.splitlines() if line.startswith("## ")]
        assert headings == ["## Growth with size and threads", "## Layers"]
        assert "--sizes 32 --parts growth layers --quick" in page

    def test_a_size_that_does_not_fit_is_said_in_one_line(self, tmp_path, capsys):
        with pytest.raises(SystemExit, match="2"):
            main(["bench", "--sizes", "20", "--out", str(tmp_path)])
        assert "nearest legal shape" in capsys.readouterr().err
