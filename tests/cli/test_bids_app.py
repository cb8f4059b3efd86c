"""The BIDS App: participants, then the group, on a small synthetic data set."""

import json
import shlex
import shutil
import socket
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

from support.phantoms import phantom, write_phantoms
from voltween import __version__, io
from voltween.cli import bids_main

ROOT = Path(__file__).parents[2]
CHEAP = ("--model", "none", "--refine", 4, "--outputs", "transform,inverse,moved")
SCANS = {"sub-01/ses-1": (0, 4, 0), "sub-01/ses-2": (6, 0, 0), "sub-02": (0, 0, 4)}

pytestmark = pytest.mark.filterwarnings("ignore::voltween.errors.InverseWarning")


def run(*words):
    """The exit code of `voltween-bids` in this process, with one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        bids_main(list(map(str, words)))
    except SystemExit as end:
        return end.code or 0
    finally:
        torch.set_num_threads(threads)
    return 0


def write_raw(folder):
    """A raw BIDS data set of phantoms, one participant with two sessions."""
    for place, shift in SCANS.items():
        anat = folder / place / "anat"
        anat.mkdir(parents=True)
        io.write(phantom(shift)[0], anat / f"{place.replace('/', '_')}_T1w.nii.gz")
    facts = {"Name": "phantoms", "BIDSVersion": "1.10.0"}
    (folder / "dataset_description.json").write_text(json.dumps(facts))
    return folder


@pytest.fixture(scope="module")
def without_network():
    """Nothing can connect to another machine."""

    def refuse(*_):
        raise AssertionError("the network is used")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        yield


@pytest.fixture(scope="module", name="done")
def done_fixture(tmp_path_factory, without_network):
    """The data set, its derivatives after both levels, and exit codes of the runs."""
    folder = tmp_path_factory.mktemp("app")
    raw, out = write_raw(folder / "raw"), folder / "derivatives"
    atlas = write_phantoms(folder / "atlas", {"tpl-My_T1w": (0, 0, 0)})
    to = ["--template", atlas / "tpl-My_T1w.nii.gz"]
    codes = [
        run(raw, out, "participant", "--participant-label", "02", *to, *CHEAP),
        run(raw, out, "group", *to),
        run(raw, out, "participant", "--participant_label", "sub-01", *to, *CHEAP),
        run(raw, out, "group", *to),
    ]
    return raw, out, codes


def test_a_group_is_whole_when_all_participants_are_done(done):
    _, out, codes = done
    assert codes == [0, 1, 0, 0]
    rows = (out / "pairs.csv").read_text("utf-8").splitlines()[1:]
    assert len(rows) == len(SCANS)
    assert all(",done," in row for row in rows)
    assert (out / "index.html").is_file()
    assert "3 of 3 pairs are registered" in (out / "summary.md").read_text("utf-8")


def test_derivatives_are_named_as_bids_has_them(done):
    raw, out, _ = done
    description = json.loads((out / "dataset_description.json").read_text("utf-8"))
    assert description["DatasetType"] == "derivative"
    assert description["GeneratedBy"][0]["Name"] == "Voltween"
    assert description["SourceDatasets"] == [{"URL": raw.as_uri()}]
    names = {path.name for path in (out / "sub-02" / "anat").iterdir()}
    assert {
        "sub-02_from-T1w_to-My_mode-image_xfm.h5",
        "sub-02_from-My_to-T1w_mode-image_xfm.h5",
        "sub-02_space-My_T1w.nii.gz",
    } <= names
    second = out / "sub-01" / "ses-2" / "anat"
    to_template = second / "sub-01_ses-2_from-T1w_to-My_mode-image_xfm.h5"
    mapped = io.read_transform(to_template).map_positions(np.zeros((1, 3)))
    np.testing.assert_allclose(mapped, [SCANS["sub-01/ses-2"]], atol=1)


def test_another_template_has_results_beside_those_of_the_first(done, tmp_path):
    raw, finished, _ = done
    out = shutil.copytree(finished, tmp_path / "out")
    other = write_phantoms(tmp_path / "atlas", {"tpl-Other_T1w": (2, 0, 0)})
    to = ["--template", other / "tpl-Other_T1w.nii.gz"]
    assert run(raw, out, "group", *to) == 1  # nothing is registered to it yet
    assert ",done," not in (out / "pairs.csv").read_text("utf-8")
    words = ("--participant-label", "02", *to, *CHEAP)
    assert run(raw, out, "participant", *words) == 0
    anat = out / "sub-02" / "anat"
    for target in ("My", "Other"):
        assert (anat / f"sub-02_from-T1w_to-{target}_mode-image_xfm.h5").is_file()


def test_strict_participants_end_with_the_code_of_a_failed_verdict(done, tmp_path):
    raw, finished, _ = done
    out = shutil.copytree(finished, tmp_path / "out")
    to = ["--template", finished.parent / "atlas" / "tpl-My_T1w.nii.gz", *CHEAP]
    words = (raw, out, "participant", *to, "--participant-label", "02")
    assert run(*words, "--strict") == 0
    path = out / "records" / "sub-02_to_My.json"
    record = json.loads(path.read_text("utf-8"))
    record["scores"] |= {"verdict": "failed"}
    path.write_text(json.dumps(record))
    assert run(*words) == 0
    assert run(*words, "--strict") == 3


def test_the_data_set_stays_as_it_is(done):
    raw, _, _ = done
    files = {path.name for path in raw.rglob("*") if path.is_file()}
    scans = {f"{place.replace('/', '_')}_T1w.nii.gz" for place in SCANS}
    assert files == {"dataset_description.json", *scans}


def test_a_participant_can_be_registered_to_the_first_session(tmp_path, capsys):
    raw, out = write_raw(tmp_path / "raw scans"), tmp_path / "out"
    words = (raw, out, "participant", "--longitudinal", *CHEAP)
    assert run(*words, "--participant-label", "01") == 0
    anat = out / "sub-01" / "ses-2" / "anat"
    assert len([*anat.glob("sub-01_ses-2_from-T1w_to-*_mode-image_xfm.h5")]) == 1
    _, following = capsys.readouterr().out.split("Next: ")
    program, *words = shlex.split(following)
    assert program == "voltween-bids"
    assert words == [str(raw), str(out), "group", "--longitudinal"]
    assert run(*words) == 0


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (
            ("participant",),
            "--template, --longitudinal: expected one of them, got none",
        ),
        (
            ("group", "--longitudinal", "--template-labels", "x.nii.gz"),
            "--template-labels: expected --template",
        ),
        (
            ("participant", "--longitudinal", "--participant-label", "7"),
            "expected labels of 01, got 7",
        ),
        (
            (
                *("participant", "--longitudinal"),
                *("--participant-label", "01", "--participant_label", "02"),
            ),
            "expected the option once, with all its values",
        ),
        (
            ("participant", "--longitudinal", "--oot", "1"),
            "voltween-bids: expected one of its options, got --oot",
        ),
        (("subject",), "expected participant or group, got 'subject'"),
    ],
)
def test_choices_that_are_missing_are_told(words, answer, tmp_path, capsys):
    raw = write_raw(tmp_path / "raw")
    assert run(raw, tmp_path / "out", *words, *CHEAP) == 2
    assert answer in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [None, "{}", '{"Name": "a"}'])
def test_the_description_is_checked_unless_told(content, tmp_path, capsys):
    raw = write_raw(tmp_path / "raw")
    description = raw / "dataset_description.json"
    description.unlink()
    if content is not None:
        description.write_text(content)
    words = (raw, tmp_path / "out", "group", "--longitudinal")
    assert run(*words) == 2
    assert "--skip-bids-validation" in capsys.readouterr().err
    assert run(*words, "--skip-bids-validation") == 1  # nothing is registered yet


def test_the_next_command_leaves_the_check_out_as_this_one(tmp_path, capsys):
    raw, out = write_raw(tmp_path / "raw"), tmp_path / "out"
    (raw / "dataset_description.json").unlink()
    words = (raw, out, "participant", "--longitudinal", *CHEAP)
    assert run(*words, "--skip-bids-validation") == 0
    _, following = capsys.readouterr().out.split("Next: ")
    assert run(*shlex.split(following)[1:]) == 0


def test_a_folder_without_scans_is_refused(tmp_path, capsys):
    words = (tmp_path, tmp_path / "out", "participant", "--longitudinal")
    assert run(*words, "--skip-bids-validation") == 2
    assert "expected T1-weighted scans" in capsys.readouterr().err


def test_help_and_version(capsys):
    assert run("--version") == 0
    assert capsys.readouterr().out == f"voltween-bids {__version__}\n"
    assert run("--help") == 0
    text = capsys.readouterr().out
    for word in ("BIDS_DIR", "OUTPUT_DIR", "participant", "--participant-label"):
        assert word in text


def test_the_program_is_installed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    scripts = project["project"]["scripts"]
    assert scripts["voltween-bids"] == "voltween.__main__:bids"
