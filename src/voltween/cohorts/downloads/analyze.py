"""Directions of Analyze 7.5 files, which record none."""

import numpy as np

_AXIS_OF_LETTER = {"R": 0, "L": 0, "A": 1, "P": 1, "S": 2, "I": 2}


def directions_of(axes: str) -> np.ndarray:
    """Matrix (3, 3) whose column c is the RAS direction of letter c of, say, 'LAS'."""
    directions = np.zeros((3, 3))
    for column, letter in enumerate(axes):
        directions[_AXIS_OF_LETTER[letter], column] = 1 if letter in "RAS" else -1
    return directions
