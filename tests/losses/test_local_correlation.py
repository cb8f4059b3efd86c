"""Limits of the local correlation's window."""

import pytest

from support.tensors import random_numbers
from voltween.losses import local_correlation_loss


def test_an_even_width_is_refused():
    with pytest.raises(ValueError, match="odd"):
        local_correlation_loss(*random_numbers(2, 1, 1, 4, 4, 4), 4)
