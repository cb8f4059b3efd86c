"""Checkpoints of Recursive-Cascaded-Networks against a network written from its facts.

The reference below is in float64 and has none of Voltween's code: TensorFlow's padding,
layers by their names in the checkpoint, and the composition of flows as in that code,
which warps a composed flow and adds the next one.
"""

import numpy as np
import pytest
import torch
from torch.nn.functional import conv3d, conv_transpose3d, leaky_relu, pad

from support.rcn import rcn_variables, write_checkpoint
from voltween.errors import InputError
from voltween.models import Model, load_model, read_rcn_network, save_model
from voltween.models.rcn import rcn_network
from voltween.networks import CascadeConfig, optimize
from voltween.preprocessing import Preprocessing

SHAPE = (64, 64, 128)


class Reference:
    """The authors' network by its variables; features are (1, c, x, y, z)."""

    def __init__(self, variables):
        self.variables = {
            name.removeprefix("gaffdfrm/"): torch.from_numpy(np.array(values)).double()
            for name, values in variables.items()
            if name.endswith(("/W", "/b"))
        }

    def convolve(self, x, name, stride=1):
        kernel = self.variables[f"{name}/W"].permute(4, 3, 0, 1, 2)
        margins = []
        for side in reversed(x.shape[2:]):
            total = max((-(-side // stride) - 1) * stride + 3 - side, 0)
            margins += [total // 2, total - total // 2]
        return conv3d(pad(x, margins), kernel, self.variables[f"{name}/b"], stride)

    def upsample(self, x, name):
        kernel = self.variables[f"{name}/W"].permute(4, 3, 0, 1, 2)
        return conv_transpose3d(x, kernel, stride=2, padding=1)

    def encode(self, stem, fixed, moving):
        x, features = torch.cat([fixed, moving], 1), {}
        for level in range(1, 7):
            x = leaky_relu(self.convolve(x, f"{stem}/conv{level}", 2), 0.1)
            if level > 2:
                x = leaky_relu(self.convolve(x, f"{stem}/conv{level}_1"), 0.1)
            features[level] = x
        return features

    def affine(self, fixed, moving):
        features = self.encode("affine_stem", fixed, moving)[6][0]
        numbers = [
            torch.einsum(
                "cxyz,xyzco->o", features, self.variables[f"affine_stem/{n}/W"]
            )
            for n in ("conv7_W", "conv7_b")
        ]
        return numbers[0].reshape(3, 3), numbers[1]

    def dense(self, stem, fixed, moving, multiplier):
        features = self.encode(stem, fixed, moving)
        x = features[6]
        for fine in range(5, 0, -1):
            flow = self.convolve(x, f"{stem}/pred{fine + 1}")
            flow = self.upsample(flow, f"{stem}/upsamp{fine + 1}to{fine}")
            deconv = leaky_relu(self.upsample(x, f"{stem}/deconv{fine}"), 0.1)
            x = torch.cat([features[fine], deconv, flow], 1)
        return self.upsample(x, f"{stem}/upsamp1to0") * multiplier

    def stages(self, fixed, moving, repeats=1):
        """Own and composed flow of every stage, and the moved image."""
        matrix, translation = self.affine(fixed, moving)
        from_center = positions() - (torch.tensor(SHAPE).double() - 1) / 2
        flow = (from_center @ matrix.T + translation).permute(3, 0, 1, 2)[None]
        stages = [(flow, flow, sample(moving, flow))]
        count = len({name.split("/")[0] for name in self.variables}) - 1
        for number in range(count * repeats):
            stem = f"deform_stem_{number // repeats}"
            own = self.dense(stem, fixed, stages[-1][2], 20 / count)
            if number == 0:
                moved_own = torch.einsum("ij,bjxyz->bixyz", matrix + torch.eye(3), own)
                flow = moved_own + flow
            else:
                flow = sample(flow, own) + own
            stages.append((own, flow, sample(moving, flow)))
        return stages


def positions():
    """Indices of every voxel, (x, y, z, 3)."""
    axes = [torch.arange(n).double() for n in SHAPE]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)


def sample(image, flow):
    """Trilinear values at the voxels moved by the flow, nearest values outside."""
    last = torch.tensor(SHAPE) - 1
    at = (positions() + flow[0].permute(1, 2, 3, 0)).clamp(torch.zeros(3), last)
    low = at.floor()
    result = 0
    for corner in np.ndindex(2, 2, 2):
        index = torch.minimum(low.long() + torch.tensor(corner), last)
        share = torch.where(torch.tensor(corner) == 1, at - low, 1 - (at - low))
        result = result + share.prod(-1) * image[:, :, *index.unbind(-1)]
    return result


@pytest.fixture(scope="module", name="variables")
def variables_fixture():
    return rcn_variables(SHAPE)


@pytest.fixture(scope="module", name="images")
def images_fixture():
    torch.manual_seed(0)
    return torch.rand(2, 1, 1, *SHAPE).double()


@pytest.fixture(scope="module", name="expected")
def expected_fixture(variables, images):
    return Reference(variables).stages(*images)


def stays_inside(own):
    """Voxels that a flow leaves within the grid, where both compositions agree."""
    at = positions() + own[0].permute(1, 2, 3, 0)
    return ((at >= 0) & (at <= torch.tensor(SHAPE) - 1)).all(-1)


def assert_near(stages, expected):
    """Flows differ by rounding of float32 alone, of values up to many voxels."""
    assert len(stages) == len(expected)
    for number, (ours, (own, flow, _)) in enumerate(zip(stages, expected, strict=True)):
        assert own.abs().max() > 2
        torch.testing.assert_close(ours.own_flow.double(), own, atol=2e-3, rtol=0)
        if number < 2:
            torch.testing.assert_close(ours.flow.double(), flow, atol=2e-3, rtol=0)
            continue
        inside = stays_inside(own)
        assert inside.float().mean() > 0.5
        difference = (ours.flow.double() - flow)[0][:, inside]
        assert difference.abs().max() < 2e-3


@pytest.mark.parametrize("kind", ["npz", "prefix", "index"])
def test_flows_are_those_of_the_authors_code(
    kind, variables, images, expected, tmp_path
):
    path = tmp_path / "model-100000"
    if kind == "npz":
        path = tmp_path / "model.npz"
        np.savez(path, **variables)
    else:
        write_checkpoint(path, variables)
        path = path.with_name(path.name + ".index") if kind == "index" else path
    network = read_rcn_network(path)
    with torch.no_grad():
        assert_near(network(*images.float()).stages, expected)


def test_fast_inference_gives_these_flows_too(variables, images, expected):
    fast = optimize(rcn_network(variables), "fp32")
    assert_near(fast(*images.float()).stages, expected)


def test_with_repeats_every_subnetwork_runs_several_times_in_a_row(images):
    variables = rcn_variables(SHAPE, dense=1)
    expected = Reference(variables).stages(*images, repeats=2)
    with torch.no_grad():
        assert_near(rcn_network(variables, 2)(*images.float()).stages, expected)


def test_the_configuration_is_read_from_the_layers(variables):
    assert rcn_network(variables, 2).config == CascadeConfig(
        "ADD",
        SHAPE,
        channels=2,
        levels=6,
        affine_levels=6,
        flow_multiplier=10.0,
        repeats=2,
        padding="same-tf",
    )


def test_a_written_model_gives_the_same_flows(variables, images, tmp_path):
    network = rcn_network(variables)
    preprocessing = Preprocessing(SHAPE, (1.0, 1.0, 1.0))
    model = Model("rcn", network, preprocessing, {})
    path = save_model(model, tmp_path / "rcn.safetensors", is_half=False)
    loaded = load_model(path).network
    assert loaded.config == network.config
    with torch.no_grad():
        pair = images.float()
        assert torch.equal(loaded(*pair).flow, network(*pair).flow)


def without(variables, part):
    return {name: v for name, v in variables.items() if part not in name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda v: without(v, "deform_stem_1/pred4/b"),
            "deform_stem_1/pred4/b: expected the layers of a Volume Tweening Network",
        ),
        (
            lambda v: without(v, "deform_stem_0"),
            "expected variables of affine_stem, deform_stem_0, deform_stem_1, ...",
        ),
        (lambda v: without(v, "stem"), "got 2 others"),
        (
            lambda v: (
                v | {"gaffdfrm/deform_stem_0/deconv5/W": np.zeros((4,) * 5, "f4")}
            ),
            "deform_stem_0/deconv5/W: expected .* weights, as for 2 channels",
        ),
        (
            lambda v: v | {"gaffdfrm/affine_stem/conv1/W": np.zeros((3, 3, 4), "f4")},
            "affine_stem/conv1/W: expected 5 axes",
        ),
        (
            lambda v: v | {"gaffdfrm/affine_stem/conv7_W/W": np.zeros((1,) * 5, "f4")},
            "conv7_W and conv7_b: expected 9 and 3 outputs of the same features",
        ),
        (
            lambda v: without(v, "deform_stem_1/conv6/"),
            "deform_stem_1: expected 6 strided convolutions, .* got 5",
        ),
    ],
)
def test_other_variables_are_refused(change, message, variables, tmp_path):
    np.savez(tmp_path / "other.npz", **change(variables))
    with pytest.raises(InputError, match=rf"other\.npz: {message}|{message}"):
        read_rcn_network(tmp_path / "other.npz")


def test_missing_and_damaged_files_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"got no file model-5\.index"):
        read_rcn_network(tmp_path / "model-5")
    with pytest.raises(InputError, match=r"no\.npz"):
        read_rcn_network(tmp_path / "no.npz")
    (tmp_path / "bad.npz").write_bytes(b"PK damaged")
    with pytest.raises(InputError, match=r"an \.npz file of numeric arrays"):
        read_rcn_network(tmp_path / "bad.npz")
