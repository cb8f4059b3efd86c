"""Leaves the face out of head scans."""

from voltween.reports.pair import RegisteredPair


def without_faces(pair: RegisteredPair) -> RegisteredPair:
    """Returns the pair with what lies away from the brain set to the background."""
    raise NotImplementedError
