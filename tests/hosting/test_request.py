"""A request is the same registration as the command that it states."""

from pathlib import Path
from typing import get_args

import pytest

from voltween.batches import Companions
from voltween.cli.app import read_command
from voltween.hosting import EFFORTS, MODELS, SIMILARITIES, TRANSFORMS, Request
from voltween.hosting import request as module
from voltween.hosting.child import _job
from voltween.losses import Similarity
from voltween.models import shipped_models
from voltween.refinement import Effort, TransformKind
from voltween.registration import OUTPUTS

PATHS = {"fixed": Path("/f.nrrd"), "moving": Path("/m.nrrd"), "out": Path("/out")}
REQUESTS = [
    Request(**PATHS),
    Request(**PATHS, model="none", refine="fast", similarity="MIND-SSC"),
    Request(**PATHS, transform="rigid", no_folding=True),
    Request(**PATHS, refine="none", model="/my model.safetensors"),
    Request(**PATHS, fixed_mask=Path("/a b.nrrd"), moving_mask=Path("/c.nrrd")),
]


@pytest.mark.parametrize("request_", REQUESTS)
def test_its_words_are_a_command_that_does_the_same(request_):
    program, name, *words = request_.words()
    assert (program, name) == ("voltween", "register")
    command, job = read_command(name, words), _job(request_)
    assert command.registration == job.options
    assert command.companions == job.companions
    assert (command.fixed, command.moving, command.out) == tuple(PATHS.values())


@pytest.mark.parametrize("request_", REQUESTS)
def test_it_crosses_a_pipe_as_one_line(request_):
    line = request_.to_json()
    assert "\n" not in line
    assert Request.from_json(line) == request_


def test_a_form_offers_what_the_library_has():
    assert set(MODELS) == {"auto", "none", *(name for name, _ in shipped_models())}
    assert set(EFFORTS) == {"auto", "none", *get_args(Effort)}
    assert set(TRANSFORMS) == set(get_args(TransformKind))
    assert set(SIMILARITIES) < set(get_args(Similarity))
    assert set(module.OUTPUTS) < set(OUTPUTS)
    assert _job(REQUESTS[0]).companions == Companions()
