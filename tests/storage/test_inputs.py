"""The files that a command reads are kept."""

import os

import pytest

from voltween.errors import InputError
from voltween.storage import add_inputs, reading, whole_file
from voltween.storage.inputs import check_is_no_input


@pytest.fixture(name="scan")
def scan_fixture(tmp_path):
    path = tmp_path / "scan.nii"
    path.write_text("voxels")
    return path


def overwrite(path):
    with whole_file(path) as partial:
        partial.write_text("result")


@pytest.mark.parametrize("link", [None, os.symlink, os.link])
def test_an_input_is_not_written_over_by_any_path(scan, link):
    out = scan
    if link:
        out = scan.with_name("out.nii")
        link(scan, out)
    got = f"{out}: expected an output .*, got the same file as the input {scan}"
    with reading([scan]), pytest.raises(InputError, match=got):
        overwrite(out)
    assert scan.read_text("utf-8") == out.read_text("utf-8") == "voxels"


def test_files_of_a_folder_and_those_found_later_are_inputs_too(scan):
    with reading([scan.parent]), pytest.raises(InputError, match=str(scan.parent)):
        overwrite(scan)
    with reading([]):
        add_inputs([scan, scan.with_name("missing")])
        overwrite(scan.with_name("missing"))  # which is no file that was read
        with pytest.raises(InputError):
            overwrite(scan)


def test_inputs_of_a_command_are_kept_within_those_of_a_part_of_it(scan):
    other = scan.with_name("other.nii")
    other.write_text("more voxels")
    with reading([scan]):
        with reading([other]):
            for path in (scan, other):
                with pytest.raises(InputError):
                    overwrite(path)
        overwrite(other)
        with pytest.raises(InputError):
            overwrite(scan)


def test_after_the_command_and_without_one_everything_can_be_written(scan):
    with reading([scan]):
        pass
    add_inputs([scan])
    overwrite(scan)
    assert scan.read_text("utf-8") == "result"


def test_the_number_of_a_deleted_input_may_belong_to_an_output(tmp_path):
    # A disk gives the number of a deleted file to a new one, as a link has it.
    scratch, out = tmp_path / "scratch.nii", tmp_path / "out.nii"
    scratch.write_bytes(b"read")
    os.link(scratch, out)
    with reading([scratch]):
        os.utime(out, ns=(0, 0))
        with pytest.raises(InputError, match="same file as the input"):
            check_is_no_input(out)  # changed, but still where it was
        scratch.unlink()
        check_is_no_input(out)
        add_inputs([out])
        with pytest.raises(InputError, match="same file as the input"):
            check_is_no_input(out)


def test_an_input_that_was_moved_is_still_one(scan, tmp_path):
    with reading([scan]):
        moved = scan.rename(tmp_path / "moved.nii")
        with pytest.raises(InputError, match="same file as the input"):
            check_is_no_input(moved)
