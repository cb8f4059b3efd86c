"""The pattern of transposed convolutions: found, removed, and nothing else changed."""

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d, gaussian_filter

from voltween.networks import has_pattern, remove_pattern

SHAPE = (32, 40, 36)


@pytest.fixture
def smooth():
    noise = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(0)).numpy()
    smooth = gaussian_filter(noise, (0, 3, 3, 3))
    return torch.from_numpy(smooth / smooth.std())[None]


def waves(period: int, amplitude: float) -> torch.Tensor:
    """Waves along every axis, of all components."""
    wave = torch.zeros(SHAPE)
    for axis, size in enumerate(SHAPE):
        line = torch.cos(2 * torch.pi * torch.arange(size) / period)
        wave = wave + line.view(*[-1 if a == axis else 1 for a in range(3)])
    return amplitude * wave.expand(1, 3, *SHAPE)


@pytest.mark.parametrize("periods", [(2,), (2, 4)])
def test_waves_are_found_and_removed(smooth, periods):
    flow = smooth + sum(waves(period, 0.2) for period in periods)
    assert has_pattern(flow)
    inner = (..., *(slice(8, -8) for _ in SHAPE))
    left = (remove_pattern(flow) - smooth)[inner].abs()
    assert left.max() < 0.1 * (flow - smooth).abs().max()


def test_a_flow_without_the_pattern_is_left_alone(smooth):
    assert not has_pattern(smooth)
    assert remove_pattern(smooth) is smooth


def test_noise_and_rest_are_no_pattern():
    noise = torch.randn(1, 3, *SHAPE, generator=torch.Generator().manual_seed(1))
    assert not has_pattern(noise)
    assert not has_pattern(torch.zeros(1, 3, *SHAPE))


def test_waves_along_one_axis_alone_are_anatomy(smooth):
    line = 0.5 * torch.cos(torch.pi * torch.arange(SHAPE[2]))
    assert not has_pattern(smooth + line)


def test_the_smallest_grids_have_no_pattern():
    assert not has_pattern(torch.randn(1, 3, 2, 2, 2))


def test_waves_are_found_on_odd_grids():
    index = torch.arange(25)
    wave = sum(index.view(shape) for shape in ((-1, 1, 1), (1, -1, 1), (1, 1, -1)))
    flow = torch.cos(torch.pi * wave).expand(1, 3, 25, 25, 25)
    assert has_pattern(flow)


def test_what_is_removed_is_what_the_filter_passes_axis_after_axis():
    """By SciPy's convolution in double precision, also next to the border."""
    place = np.arange(-12, 13)
    window = np.exp(-(place**2) / 18)
    taps = (
        window / window.sum() * (2 * np.cos(np.pi * place / 2) + np.cos(np.pi * place))
    )
    index = torch.arange(25)
    wave = sum(index.view(shape) for shape in ((-1, 1, 1), (1, -1, 1), (1, 1, -1)))
    noise = torch.randn(2, 3, 25, 25, 25, generator=torch.Generator().manual_seed(2))
    flow = 5 * torch.cos(torch.pi * wave) + noise
    expected = flow.double().numpy()
    for axis in (2, 3, 4):
        expected = expected - convolve1d(expected, taps, axis, mode="nearest")
    np.testing.assert_allclose(remove_pattern(flow), expected, atol=1e-5)
