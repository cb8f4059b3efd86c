"""The number of threads during a task, and after it."""

import os

import SimpleITK as sitk
import torch

from voltween.workers.threads import limited_threads


def threads():
    itk = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    return torch.get_num_threads(), itk, os.environ.get("OMP_NUM_THREADS")


def test_libraries_and_other_programs_get_the_number_within_the_block(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = threads()
    with limited_threads(3):
        assert threads() == (3, 3, "3")
        assert os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] == "3"
    assert threads() == before
