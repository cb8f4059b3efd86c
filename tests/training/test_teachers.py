"""Teachers: ANTs itself, and models polished on the pair."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from support.scans import smooth_field, tiny_model
from voltween.baselines import TOOLS
from voltween.errors import InputError
from voltween.losses import local_correlation_loss
from voltween.models import load_model, save_model
from voltween.ops import warp
from voltween.preprocessing import Preprocessing
from voltween.process import Used, running
from voltween.refinement import (
    FAST,
    PairTensors,
    Problem,
    SideTensors,
    Watch,
    find_transform,
)
from voltween.refinement.presets import REFINEMENTS
from voltween.spatial import Affine, Grid, Image
from voltween.training.recipe import TOOL_TEACHERS
from voltween.training.teachers import Ants, teacher_named

ANTS = TOOLS["ants"]
SHAPE = (36, 28, 44)
SHIFT = (3, -2, 1)  # of the moving image's content, in voxels along each array axis
SMALL = (16, 16, 16)


def smooth_box(corner, seed=0):
    """A window, at a corner, onto one large field of smooth random intensities."""
    noise = np.random.default_rng(seed).standard_normal([n + 16 for n in SHAPE])
    data = gaussian_filter(noise, 2.5, mode="constant")
    data = (data - data.min()) / np.ptp(data)
    window = tuple(slice(c, c + n) for c, n in zip(corner, SHAPE, strict=True))
    return torch.from_numpy(data[window].astype(np.float32))[None]


def shifted_pair():
    """Fixed and moving with moving(x + SHIFT) = fixed(x)."""
    return smooth_box((8, 8, 8)), smooth_box([8 - s for s in SHIFT])


def positions_inside(flow):
    """Returns the voxels x for which x + flow(x) stays on the grid."""
    reached = np.indices(SHAPE) + flow.numpy()
    top = np.array(SHAPE).reshape(3, 1, 1, 1) - 1
    return ((reached >= 0) & (reached <= top)).all(axis=0)


class KnownTool:
    """A stand-in for ANTs that finds a known transform, and notes its calls."""

    def __init__(self, transform):
        self.transform = transform
        self.calls = []

    def run(self, fixed, moving, *, threads):
        self.calls.append((fixed, moving, threads))
        return self.transform, Used()


class TestAnts:
    """The tool itself runs in tests/baselines/test_real_tools.py."""

    def test_a_shift_is_a_flow_along_the_array_axes(self, monkeypatch):
        matrix = np.eye(4)
        matrix[:3, 3] = SHIFT
        monkeypatch.setitem(TOOLS, "ants", KnownTool(Affine(matrix)))
        fixed, moving = shifted_pair()
        flow = Ants("ants").flow(fixed, moving)
        shift = torch.tensor(SHIFT, dtype=torch.float32)[:, None, None, None]
        torch.testing.assert_close(flow, shift.expand_as(flow))
        moved = warp(moving[None], flow[None])[0, 0].numpy()
        inside = positions_inside(flow)
        np.testing.assert_allclose(moved[inside], fixed[0].numpy()[inside], atol=1e-5)

    def test_warping_by_the_flow_gives_the_image_that_the_transform_moves(
        self, monkeypatch
    ):
        grid = Grid(SHAPE, np.eye(4))
        field = smooth_field(grid, 1, largest_voxels=2.0)
        monkeypatch.setitem(TOOLS, "ants", KnownTool(field))
        fixed, moving = shifted_pair()
        flow = Ants("ants").flow(fixed, moving)
        moved = field.resample(Image(moving[0].numpy(), grid), onto=grid).data
        ours = warp(moving[None], flow[None])[0, 0].numpy()
        inside = positions_inside(flow)
        assert inside.mean() > 0.5
        assert (flow.std((1, 2, 3)) > 0.1).all()
        np.testing.assert_allclose(ours[inside], moved[inside], atol=1e-5)

    def test_the_tool_gets_both_images_and_one_thread(self, monkeypatch):
        """More threads of ITK would not give the same flow each time."""
        tool = KnownTool(Affine.identity())
        monkeypatch.setitem(TOOLS, "ants", tool)
        pair = shifted_pair()
        Ants("ants").flow(*pair)
        *images, threads = tool.calls[0]
        assert threads == 1
        for image, tensor in zip(images, pair, strict=True):
            np.testing.assert_array_equal(image.data, tensor[0].numpy())
            np.testing.assert_array_equal(image.grid.affine, np.eye(4))

    def test_its_flows_depend_on_the_version(self, monkeypatch):
        monkeypatch.setattr(running, "version", lambda package: "1.2.3")
        facts = {name: Ants(name).facts for name in TOOL_TEACHERS}
        assert facts == {
            "ants": "ants, antspyx 1.2.3",
            "ants-syn": "ants-syn, antspyx 1.2.3",
        }

    @pytest.mark.parametrize("name", TOOL_TEACHERS)
    def test_its_name_is_that_of_the_tool(self, name):
        preprocessing = Preprocessing(SMALL, (1.0, 1.0, 1.0))
        assert teacher_named(name, preprocessing) == Ants(name)

    def test_a_missing_package_says_what_to_install(self, monkeypatch):
        missing = replace(ANTS, package="no-such-package")
        monkeypatch.setitem(TOOLS, "ants", missing)
        with pytest.raises(InputError, match=r"pip install .*voltween\[baselines\]"):
            _ = Ants("ants").facts


@pytest.fixture(name="model")
def model_fixture(tmp_path):
    """A small model with flows of about a voxel, as a file."""
    model = tiny_model("AD", SMALL, strength=0.3)
    return save_model(model, tmp_path / "pupil.safetensors")


def smooth_pair():
    noise = np.random.default_rng(0).standard_normal((2, *SMALL))
    images = gaussian_filter(noise, (0, 2, 2, 2)) * 4 + 0.5
    return (torch.from_numpy(image.astype(np.float32))[None] for image in images)


class TestModelTeacher:
    def test_its_flow_is_the_models_made_better(self, model):
        fixed, moving = smooth_pair()
        loaded = load_model(model)
        teacher = teacher_named(f"{model}+fast", loaded.preprocessing)
        with torch.inference_mode():
            start = loaded.network(fixed[None], moving[None]).flow
        flow = teacher.flow(fixed, moving)[None]
        losses = [
            local_correlation_loss(fixed[None], warp(moving[None], f), width=5).item()
            for f in (start, flow)
        ]
        assert losses[1] < 0.9 * losses[0]
        assert 0.05 < (flow - start).abs().mean() < 2  # voxels
        assert not flow.requires_grad

    def test_without_refinement_its_flow_is_the_models(self, model):
        fixed, moving = smooth_pair()
        loaded = load_model(model)
        teacher = teacher_named(str(model), loaded.preprocessing)
        with torch.inference_mode():
            expected = loaded.network(fixed[None], moving[None]).flow[0]
        torch.testing.assert_close(teacher.flow(fixed, moving), expected)
        assert teacher.facts != teacher_named(f"{model}+fast", loaded.preprocessing)

    def test_the_same_pair_has_the_same_flow_in_another_process_too(self, model):
        fixed, moving = smooth_pair()
        teacher = teacher_named(f"{model}+fast", load_model(model).preprocessing)
        flow = teacher.flow(fixed, moving)
        sent = pickle.dumps(teacher)
        assert len(sent) < 2000  # no weights
        again = pickle.loads(sent).flow(fixed, moving)
        torch.testing.assert_close(again, flow, rtol=0, atol=0)

    def test_its_flows_depend_on_weights_and_refinement(self, model):
        preprocessing = load_model(model).preprocessing
        fast = teacher_named(f"{model}+fast", preprocessing)
        assert fast.refinement == FAST
        accurate = teacher_named(f"{model}+accurate", preprocessing)
        before = fast.facts
        save_model(tiny_model("AD", SMALL, seed=1), model)
        other = teacher_named(f"{model}+fast", preprocessing)
        assert len({before, accurate.facts, other.facts}) == 3
        assert replace(other, digest=fast.digest).facts == before
        fixed, moving = smooth_pair()
        with torch.inference_mode():
            stages = load_model(model).registrar(fixed[None], moving[None]).stages
        pair = PairTensors(SideTensors(fixed[None]), SideTensors(moving[None]))
        problem = Problem(pair, FAST, Watch())
        new = find_transform(problem, stages[-1].parts.clone()).flow[0]
        torch.testing.assert_close(other.flow(fixed, moving), new)

    @pytest.mark.parametrize(
        ("shape", "spacing_mm"),
        [((16, 16, 32), (1.5, 1.5, 1.5)), (SMALL, (1.5, 1.5, 2.0))],
    )
    def test_a_model_of_another_grid_is_refused(self, model, shape, spacing_mm):
        wanted = Preprocessing(shape, spacing_mm)
        with pytest.raises(
            InputError, match=r"pupil.*\+fast: expected a model for the"
        ):
            teacher_named(f"{model}+fast", wanted)

    @pytest.mark.parametrize("effort", REFINEMENTS)
    def test_a_model_that_is_not_there_is_named(self, effort):
        with pytest.raises(InputError, match="nobody: expected a shipped model"):
            teacher_named(f"nobody+{effort}", Preprocessing(SMALL, (1.5, 1.5, 1.5)))
