"""Target flows: those of ANTs itself, kept on disk."""

import tempfile
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from voltween import targets
from voltween.baselines import tools
from voltween.baselines.ants import ants_syn
from voltween.data import Sample
from voltween.errors import InputError
from voltween.space import Grid
from voltween.targets import TargetFlows, ants_flow, target_pairs
from voltween.volume import Image
from voltween.warp import warp

SHAPE = (36, 28, 44)
SHIFT = (3, -2, 1)  # of the moving image's content, in voxels along each array axis


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


def smooth_samples(count, shape=(6, 5, 4)):
    rng = np.random.default_rng(0)
    return [
        Sample(str(n), torch.from_numpy(rng.random((1, *shape), np.float32)), None)
        for n in range(count)
    ]


def positions_inside(flow):
    """Where x + flow(x) stays on the grid."""
    reached = np.indices(SHAPE) + flow.numpy()
    top = np.array(SHAPE).reshape(3, 1, 1, 1) - 1
    return ((reached >= 0) & (reached <= top)).all(axis=0)


@pytest.fixture(scope="module")
def ants():
    """Tests that need the tool itself."""
    try:
        ants_syn.check_installed()
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture
def counted(monkeypatch):
    """A stand-in for ANTs, as it is slow: each call is counted."""
    calls = []

    def fake_flow(fixed, moving):
        calls.append((fixed, moving))
        return torch.cat([moving - fixed, moving, fixed]) * 8

    monkeypatch.setattr(targets, "ants_flow", fake_flow)
    monkeypatch.setattr(tools, "version", lambda package: "1.2.3")
    monkeypatch.setattr(targets, "version", lambda package: "1.2.3")
    return calls


class TestAntsFlow:
    def test_a_known_shift_is_found_along_its_axes(self, ants):
        flow = ants_flow(*shifted_pair())
        middle = flow[:, 8:-8, 8:-8, 8:-8].mean((1, 2, 3))
        np.testing.assert_allclose(middle, SHIFT, atol=0.1)

    def test_warping_by_it_gives_the_image_that_ants_moved(self, ants):
        """That ANTs' own image is the one of its transform is tested with the tools."""
        fixed = smooth_box((8, 8, 8))
        # Something else is mixed in, so that the deformation is no mere shift.
        moving = smooth_box([8 - s for s in SHIFT]) + 0.4 * smooth_box((5, 9, 4), 1)
        flow = ants_flow(fixed, moving)
        grid = Grid(SHAPE, np.eye(4))
        images = [Image(image[0].numpy(), grid) for image in (fixed, moving)]
        transform, _ = ants_syn.run(*images, threads=1)
        moved = transform.resample(images[1], onto=grid).data
        ours = warp(moving[None], flow[None])[0, 0].numpy()
        inside = positions_inside(flow)
        assert inside.mean() > 0.5
        assert (flow.std((1, 2, 3)) > 0.3).all()
        np.testing.assert_allclose(ours[inside], moved[inside], atol=1e-5)

    def test_is_the_same_each_time(self, ants):
        fixed, moving = shifted_pair()
        torch.testing.assert_close(
            ants_flow(fixed, moving), ants_flow(fixed, moving), rtol=0, atol=0
        )

    def test_leaves_nothing_behind(self, ants, monkeypatch, tmp_path):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        ants_flow(*shifted_pair())
        assert list(tmp_path.iterdir()) == []

    def test_an_image_that_ants_refuses_is_named(self, ants, tmp_path):
        one, other = (Sample(name, smooth_box((8, 8, 8)), None) for name in "ab")
        other.image.zero_()
        flows = TargetFlows([one, other], [(0, 1)], tmp_path)
        with pytest.raises(InputError, match="a <- b: ANTs cannot register"):
            flows.flow(0)


class TestTargetFlows:
    def test_are_made_once_and_kept(self, counted, tmp_path):
        samples = smooth_samples(3)
        made = TargetFlows(samples, [(0, 1), (1, 0)], tmp_path / "new")
        first = made.flow(1)
        assert first.dtype == torch.float32
        fixed, moving = samples[1].image, samples[0].image
        expected = torch.cat([moving - fixed, moving, fixed]) * 8
        torch.testing.assert_close(first, expected, rtol=1e-3, atol=1e-3)
        again = TargetFlows(samples, [(1, 0)], tmp_path / "new").flow(0)
        torch.testing.assert_close(again, first, rtol=0, atol=0)
        assert len(counted) == 1
        assert len(list((tmp_path / "new").iterdir())) == 1

    def test_other_images_and_other_versions_have_their_own(
        self, counted, tmp_path, monkeypatch
    ):
        samples = smooth_samples(3)
        TargetFlows(samples, [(0, 1)], tmp_path).flow(0)
        TargetFlows(samples, [(1, 0)], tmp_path).flow(0)
        changed = samples[0].image.clone()
        changed[0, 1, 2, 3] += 1e-6
        TargetFlows([Sample("0", changed, None), samples[1]], [(0, 1)], tmp_path).flow(
            0
        )
        monkeypatch.setattr(targets, "version", lambda package: "1.2.4")
        TargetFlows(samples, [(0, 1)], tmp_path).flow(0)
        assert len(counted) == 4
        assert len(list(tmp_path.iterdir())) == 4

    @pytest.mark.parametrize("place", [0, 20, -3])
    def test_a_damaged_file_is_made_again(self, counted, tmp_path, place):
        flows = TargetFlows(smooth_samples(2), [(0, 1)], tmp_path)
        expected = flows.flow(0)
        (file,) = tmp_path.iterdir()
        content = bytearray(file.read_bytes())
        content[place] ^= 255
        file.write_bytes(content)
        with pytest.warns(UserWarning, match="damaged file: made again"):
            again = flows.flow(0)
        torch.testing.assert_close(again, expected, rtol=0, atol=0)
        torch.testing.assert_close(flows.flow(0), expected, rtol=0, atol=0)
        assert len(counted) == 2

    def test_a_file_cut_short_or_of_another_kind_is_made_again(self, counted, tmp_path):
        flows = TargetFlows(smooth_samples(2), [(0, 1)], tmp_path)
        flows.flow(0)
        (file,) = tmp_path.iterdir()
        for content in (file.read_bytes()[:-9], b"", b"text"):
            file.write_bytes(content)
            with pytest.warns(UserWarning, match="made again"):
                flows.flow(0)

    def test_a_flow_that_is_not_finite_is_refused(self, counted, tmp_path):
        one, other = smooth_samples(2)
        other.image.mul_(1e5)
        flows = TargetFlows([one, other], [(0, 1)], tmp_path)
        with pytest.raises(InputError, match="0 <- 1: ANTs' flow must be finite"):
            flows.flow(0)
        assert list(tmp_path.iterdir()) == []

    def test_a_missing_package_says_what_to_install(self, monkeypatch, tmp_path):
        def missing(package):
            raise PackageNotFoundError(package)

        monkeypatch.setattr(tools, "version", missing)
        flows = TargetFlows(smooth_samples(2), [(0, 1)], tmp_path)
        with pytest.raises(InputError, match=r"pip install voltween\[baselines\]"):
            flows.flow(0)

    def test_a_folder_that_cannot_be_written_is_named(self, counted, tmp_path):
        (tmp_path / "file").touch()
        flows = TargetFlows(smooth_samples(2), [(0, 1)], Path(tmp_path / "file"))
        with pytest.raises(InputError, match="cannot make folder"):
            flows.flow(0)
        assert counted == []


class TestTargetPairs:
    def test_are_ordered_pairs_of_two_different_cases_none_twice(self):
        pairs = target_pairs(5, 20, seed=0)
        assert sorted(pairs) == [(f, m) for f in range(5) for m in range(5) if f != m]

    def test_depend_on_the_seed_alone(self):
        assert target_pairs(9, 12, seed=3) == target_pairs(9, 12, seed=3)
        assert target_pairs(9, 12, seed=3) != target_pairs(9, 12, seed=4)

    @pytest.mark.parametrize("pairs", [0, 7])
    def test_no_more_than_there_are(self, pairs):
        with pytest.raises(InputError, match=f"1 to 6, got {pairs}"):
            target_pairs(3, pairs, seed=0)
