"""Models on disk: they come back whole, and other files are refused."""

import json
import subprocess
import sys

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from support.scans import tiny_model
from voltween.errors import InputError
from voltween.models import load_model, save_model, shipped_models


def test_a_model_comes_back_whole(tmp_path):
    model = tiny_model()
    path = save_model(model, tmp_path / "mine.safetensors", is_half=False)
    loaded = load_model(path)
    assert loaded.name == "mine"
    assert loaded.network.config == model.network.config
    assert loaded.preprocessing == model.preprocessing
    images = torch.rand(2, 1, 1, 16, 16, 16)
    with torch.inference_mode():
        assert torch.equal(loaded.network(*images).flow, model.network(*images).flow)


def test_half_precision_halves_the_file_and_hardly_moves_the_flow(tmp_path):
    model = tiny_model()
    full = save_model(model, tmp_path / "full.safetensors", is_half=False)
    half = save_model(model, tmp_path / "half.safetensors")
    assert half.stat().st_size < 0.55 * full.stat().st_size
    images = torch.rand(2, 1, 1, 16, 16, 16)
    with torch.inference_mode():
        flow, rounded = (m.network(*images).flow for m in (model, load_model(half)))
    assert (flow - rounded).abs().max() < 0.01 * flow.abs().max()


def test_shipped_models_load_and_name_their_training_data():
    shipped = dict(shipped_models())
    assert list(shipped) == ["brain", "brain-any", "headneck", "hippocampus"]
    for name, description in shipped.items():
        model = load_model(name)
        assert model.name == name
        assert not any(p.isnan().any() for p in model.network.parameters())
        provenance = description["provenance"]
        for key in ("purpose", "data", "licence", "measured", "steps"):
            assert provenance[key]
        assert provenance.get("train_cases") or provenance["train_scans"]


def test_loading_imports_no_compiler():
    # It takes over a second, and comes with arithmetic of tensors without memory.
    code = "import sys; from voltween.models import load_model; load_model('brain'); "
    code += "sys.exit('torch._dynamo' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def broken(kind, path):
    if kind == "cut short":
        save_model(tiny_model(), path)
        path.write_bytes(path.read_bytes()[:5000])
    elif kind == "text":
        path.write_text("not a model")
    elif kind == "foreign":
        save_file({"weight": torch.zeros(3)}, path)
    elif kind == "newer":
        save_file({"w": torch.zeros(3)}, path, {"voltween": json.dumps({"format": 99})})
    elif kind == "other weights":
        text = {"format": 2, "cascade": {"stages": "D"}, "preprocessing": {}}
        save_file({"w": torch.zeros(3)}, path, {"voltween": json.dumps(text)})


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "expected a shipped model .*, got none of this name"),
        ("cut short", "damaged or of another kind"),
        ("text", "damaged or of another kind"),
        ("foreign", "another program's safetensors file"),
        ("newer", "expected model format 2, got 99"),
        ("other weights", "expected configuration and weights that fit this version"),
    ],
)
def test_files_that_are_not_models_are_refused(kind, message, tmp_path):
    path = tmp_path / "model.safetensors"
    broken(kind, path)
    with pytest.raises(InputError, match=message) as caught:
        load_model(path)
    assert "\n" not in str(caught.value)


def test_nothing_is_ever_unpickled(tmp_path):
    torch.save({"weight": torch.zeros(3)}, tmp_path / "model.pt")
    with pytest.raises(InputError, match="damaged or of another kind"):
        load_model(tmp_path / "model.pt")


def test_a_model_can_have_more_passes_with_the_same_weights(tmp_path):
    model = tiny_model("AD")
    twice = model.repeated(2)
    pair = torch.rand(2, 1, 1, 16, 16, 16)
    with torch.no_grad():
        once, repeated = (m.network(*pair).stages for m in (model, twice))
    assert [stage.name for stage in repeated[1:]] == [
        "dense 1 pass 1",
        "dense 1 pass 2",
    ]
    assert torch.equal(repeated[1].flow, once[1].flow)
    path = save_model(twice, tmp_path / "twice.safetensors", is_half=False)
    assert load_model(path).network.config == twice.network.config
    assert model.network.config.repeats == 1
    assert twice.repeated(1).network.config == model.network.config


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused(value, tmp_path):
    model = tiny_model()
    next(model.network.parameters()).data.flatten()[0] = value
    path = save_model(model, tmp_path / "bad.safetensors")
    with pytest.raises(InputError, match=r"bad\.safetensors: expected finite weights"):
        load_model(path)


def described(path, change):
    """A model whose description is another one."""
    save_model(tiny_model(), path)
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        description = json.loads(file.metadata()["voltween"])
    changed = change(description)
    text = changed if isinstance(changed, str) else json.dumps(changed)
    save_file(tensors, path, {"voltween": text})
    return path


def with_cascade(**changes):
    """A change of a model's description."""
    return lambda d: d | {"cascade": d["cascade"] | changes}


@pytest.mark.parametrize(
    "change",
    [
        lambda description: [description],
        lambda description: "[" * 99999,
        lambda description: json.dumps(description)[:-9],
        lambda description: description | {"cascade": 5},
        lambda description: description | {"cascade": []},
        lambda description: description | {"preprocessing": "text"},
        lambda description: description | {"fingerprint": [1]},
        lambda description: description | {"provenance": "me"},
        with_cascade(shape=[16, 16]),
        with_cascade(shape=["a", 16, 16]),
        with_cascade(shape=[10**30, 16, 16]),
        with_cascade(stages="A" + 40 * "D"),
        with_cascade(stages=5),
        with_cascade(flow_multiplier=float("inf")),
        with_cascade(flow_multiplier="one"),
    ],
)
def test_descriptions_of_another_shape_are_refused(change, tmp_path):
    with pytest.raises(InputError, match=r"bad\.safetensors"):
        load_model(described(tmp_path / "bad.safetensors", change))
