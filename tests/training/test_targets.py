"""Target flows: those of a teacher, kept on disk."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch

from voltween.errors import InputError, OutputError, SuspiciousInputWarning
from voltween.training.samples import Sample
from voltween.training.targets import TargetFlows, target_pairs
from voltween.training.teachers import Teacher


def files(folder):
    """The target flows in a folder."""
    return list(folder.glob("*.safetensors"))


def smooth_samples(count, shape=(6, 5, 4)):
    rng = np.random.default_rng(0)
    return [
        Sample(str(n), torch.from_numpy(rng.random((1, *shape), np.float32)), None)
        for n in range(count)
    ]


@dataclass(frozen=True)
class Known(Teacher):
    """A teacher that knows the answer, and counts."""

    facts: str = "1"
    name: str = "Nobody"
    find: Callable = lambda fixed, moving: (
        torch.cat([moving - fixed, moving, fixed]) * 8
    )
    asked: list = field(default_factory=list)

    def flow(self, fixed, moving):
        self.asked.append((fixed, moving))
        return self.find(fixed, moving)


@pytest.fixture(name="teacher")
def teacher_fixture():
    return Known()


class TestTargetFlows:
    def test_are_made_once_and_kept(self, teacher, tmp_path):
        samples = smooth_samples(3)
        made = TargetFlows(samples, [(0, 1), (1, 0)], teacher, tmp_path / "new")
        first = made.flow(1)
        assert first.dtype == torch.float32
        fixed, moving = samples[1].image, samples[0].image
        expected = torch.cat([moving - fixed, moving, fixed]) * 8
        torch.testing.assert_close(first, expected, rtol=1e-3, atol=1e-3)
        again = TargetFlows(samples, [(1, 0)], teacher, tmp_path / "new").flow(0)
        torch.testing.assert_close(again, first, rtol=0, atol=0)
        assert len(teacher.asked) == 1
        assert len(files(tmp_path / "new")) == 1

    def test_other_images_and_other_teachers_have_their_own(self, teacher, tmp_path):
        samples = smooth_samples(3)
        changed = samples[0].image.clone()
        changed[0, 1, 2, 3] += 1e-6
        others = [Sample("0", changed, None), samples[1]]
        TargetFlows(samples, [(0, 1)], teacher, tmp_path).flow(0)
        TargetFlows(samples, [(1, 0)], teacher, tmp_path).flow(0)
        TargetFlows(others, [(0, 1)], teacher, tmp_path).flow(0)
        TargetFlows(samples, [(0, 1)], replace(teacher, facts="2"), tmp_path).flow(0)
        assert len(teacher.asked) == 4
        assert len(files(tmp_path)) == 4

    @pytest.mark.parametrize("place", [0, 20, -3])
    def test_a_damaged_file_is_made_again(self, teacher, tmp_path, place):
        flows = TargetFlows(smooth_samples(2), [(0, 1)], teacher, tmp_path)
        expected = flows.flow(0)
        (file,) = files(tmp_path)
        content = bytearray(file.read_bytes())
        content[place] ^= 255
        file.write_bytes(content)
        with pytest.warns(SuspiciousInputWarning, match="damaged files, made again"):
            again = flows.flow(0)
        torch.testing.assert_close(again, expected, rtol=0, atol=0)
        torch.testing.assert_close(flows.flow(0), expected, rtol=0, atol=0)
        assert len(teacher.asked) == 2

    def test_a_file_cut_short_or_of_another_kind_is_made_again(self, teacher, tmp_path):
        flows = TargetFlows(smooth_samples(2), [(0, 1)], teacher, tmp_path)
        flows.flow(0)
        (file,) = files(tmp_path)
        for content in (file.read_bytes()[:-9], b"", b"text"):
            file.write_bytes(content)
            flows.flow(0)
        assert len(teacher.asked) == 4

    def test_a_pair_that_the_teacher_refuses_is_named(self, teacher, tmp_path):
        def refused(fixed, moving):
            raise InputError(expected="contrast", got="a constant image")

        refusing = replace(teacher, find=refused)
        flows = TargetFlows(smooth_samples(2), [(0, 1)], refusing, tmp_path)
        with pytest.raises(
            InputError, match=r"^0 <- 1: expected contrast, got a const"
        ):
            flows.flow(0)
        assert list(tmp_path.iterdir()) == []

    def test_a_flow_that_is_not_finite_is_refused(self, teacher, tmp_path):
        one, other = smooth_samples(2)
        other.image.mul_(1e5)
        flows = TargetFlows([one, other], [(0, 1)], teacher, tmp_path)
        with pytest.raises(
            InputError, match="0 <- 1: expected a finite flow from Nobody, got NaN"
        ):
            flows.flow(0)
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_cannot_be_written_is_named(self, teacher, tmp_path):
        (tmp_path / "file").touch()
        flows = TargetFlows(smooth_samples(2), [(0, 1)], teacher, tmp_path / "file")
        with pytest.raises(OutputError, match="expected a folder that can be made"):
            flows.flow(0)
        assert teacher.asked == []


class TestTargetPairs:
    def test_are_ordered_pairs_of_two_different_cases_none_twice(self):
        pairs = target_pairs(5, 20, seed=0)
        assert sorted(pairs) == [(f, m) for f in range(5) for m in range(5) if f != m]

    def test_depend_on_the_seed_alone(self):
        assert target_pairs(9, 12, seed=3) == target_pairs(9, 12, seed=3)
        assert target_pairs(9, 12, seed=3) != target_pairs(9, 12, seed=4)

    @pytest.mark.parametrize("pairs", [0, 7])
    def test_no_more_than_there_are(self, pairs):
        with pytest.raises(
            InputError, match=f"expected 1 to 6, .* of 3 cases, got {pairs}"
        ):
            target_pairs(3, pairs, seed=0)
