"""Values that tasks share: read once per process, gone after the run."""

import pickle

import pytest

from voltween.errors import InputError
from voltween.workers import Engine, sharing
from voltween.workers.sharing import _values


def test_this_process_has_the_value_itself_and_no_file(tmp_path):
    value = object()
    with sharing(value, tmp_path / "out", Engine()) as shared:
        assert shared.value is value
        assert not (tmp_path / "out").exists()
    assert not _values


def test_other_processes_read_it_once_from_the_folder(tmp_path):
    with sharing([1, lambda: 2], tmp_path, Engine(workers=2)) as shared:
        _values.clear()  # as in another process
        copy = pickle.loads(pickle.dumps(shared))
        assert copy.value[1]() == 2
        assert copy.value is copy.value
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="expected a file of a run that goes on"):
        _ = copy.value
