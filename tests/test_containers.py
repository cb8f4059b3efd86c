"""The recipes of containers and the descriptor of the BIDS App, without an engine."""

import json
import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from voltween.cli.app import build_command
from voltween.cli.bids_app import BidsApp

ROOT = Path(__file__).parents[1]
RECIPES = ROOT / "containers"
DOCKERFILE, APPTAINER = RECIPES / "Dockerfile", RECIPES / "voltween.def"
DESCRIPTOR = RECIPES / "voltween-bids.json"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
NEEDED = {"CMakeLists.txt", "LICENSE", "README.md", "constraints.txt", "pyproject.toml"}
NEEDED |= {"src"}
# https://apptainer.org/docs/user/latest/definition_files.html
SECTIONS = {
    *("setup", "files", "appfiles", "post", "test", "environment", "startscript"),
    *("runscript", "labels", "help", "arguments", "apprun"),
}


def program(name):
    """The path of a program that a Python package brings; skips without it."""
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        pytest.skip(f"{name} is not installed")
    return path


def sections():
    """The sections of the Apptainer recipe, by their headings, and its header."""
    header, *parts = re.split(r"^%", APPTAINER.read_text("utf-8"), flags=re.MULTILINE)
    named = (part.partition("\n") for part in parts)
    return header, {heading.strip(): body for heading, _, body in named}


def test_hadolint_finds_nothing_in_the_dockerfile():
    done = subprocess.run([program("hadolint"), DOCKERFILE], capture_output=True)
    assert (done.returncode, done.stdout) == (0, b"")


def test_images_run_as_a_user_without_rights():
    stages = re.split(r"^FROM ", DOCKERFILE.read_text("utf-8"), flags=re.MULTILINE)
    assert any(re.search(r"^USER [1-9]\d*$", stage, re.MULTILINE) for stage in stages)
    names = [stage.split("\n")[0] for stage in stages[1:]]
    assert names[-2:] == ["base AS bids", "base AS voltween"]  # the last is built
    assert all("USER root" not in stage for stage in stages)


def test_the_image_gets_all_sources_and_nothing_else():
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    kept = {line[1:] for line in ignored if line.startswith("!")}
    assert "*" in ignored
    assert kept == NEEDED
    assert all((ROOT / name).exists() for name in kept)
    assert {PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]} <= kept


def test_the_apptainer_recipe_has_known_sections_and_valid_scripts():
    header, named = sections()
    words = dict(re.findall(r"^(\w+): (\S+)$", header, re.MULTILINE))
    assert set(words) == {"Bootstrap", "From"}
    assert f"FROM {words['From']} AS base" in DOCKERFILE.read_text("utf-8")
    assert {heading.split()[0] for heading in named} <= SECTIONS
    for heading in ("post", "environment", "runscript", "apprun bids", "test"):
        script = named[heading]
        subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    copied = {line.split()[0] for line in named["files"].splitlines() if line.strip()}
    assert copied == NEEDED


@pytest.mark.parametrize("recipe", [DOCKERFILE, APPTAINER])
def test_recipes_install_the_extras_that_the_page_names(recipe):
    (extras,) = re.findall(r'"\.\[([\w,]+)\]"', recipe.read_text("utf-8"))
    known = PROJECT["project"]["optional-dependencies"]
    assert set(extras.split(",")) <= set(known)
    page = (ROOT / "docs" / "containers.md").read_text("utf-8")
    (named,) = re.findall(r"The images have the extras ([^:]*):", page)
    assert re.findall(r"`(\w+)`", named) == extras.split(",")
    assert (ROOT / "constraints.txt").is_file()
    assert "-c constraints.txt" in recipe.read_text("utf-8")


def test_the_validator_of_boutiques_accepts_the_descriptor():
    words = [program("bosh"), "validate", DESCRIPTOR]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.stdout.strip() == "OK", done.stdout + done.stderr


def test_boutiques_makes_a_command_line_that_the_program_reads(tmp_path):
    invocation = {
        "bids_dir": "raw",
        "output_dir": "out",
        "analysis_level": "participant",
        "participant_label": ["01", "02"],
        "template": "atlas.nii.gz",
        "template_labels": "labels.nii.gz",
        "model": "none",
        "refine": "fast",
        "workers": 2,
        "skip_bids_validation": True,
        "strict": True,
    }
    path = tmp_path / "invocation.json"
    path.write_text(json.dumps(invocation))
    words = [program("bosh"), "exec", "simulate", DESCRIPTOR, "-i", path]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    (line,) = [line for line in done.stdout.splitlines() if "participant" in line]
    words = line[line.index("raw") :].split()
    command = build_command("voltween-bids", BidsApp, words, is_grouped=True)
    assert command.participant_label == ("01", "02")
    assert (command.bids_dir, command.out) == (Path("raw"), Path("out"))
    assert command.template == Path("atlas.nii.gz")
    assert command.engine.workers == 2
    assert command.registration.refinement.refine == "fast"
    assert command.strict
    assert command.skip_bids_validation


def test_the_descriptor_has_the_program_s_own_options_and_version():
    descriptor = json.loads(DESCRIPTOR.read_text("utf-8"))
    own = {f.name for f in fields(BidsApp)} - {"registration", "engine", "retry_failed"}
    own = {"output_dir" if name == "out" else name for name in own}
    assert {item["id"] for item in descriptor["inputs"]} >= own
    assert descriptor["tool-version"] == PROJECT["project"]["version"]
