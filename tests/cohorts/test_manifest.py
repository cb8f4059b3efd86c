"""The manifest: what is read, what is refused, and what is written."""

import gzip
import shutil
from dataclasses import replace

import pytest

from support.cohorts import write_cohort
from voltween.cohorts import Case, cases_of_split, read_manifest, write_manifest
from voltween.cohorts.same_content import same_content
from voltween.errors import InputError, SuspiciousInputWarning
from voltween.storage import check_is_no_input, reading


def test_manifest_paths_are_relative_to_its_folder(tmp_path):
    cases = read_manifest(write_cohort(tmp_path))
    assert [case.name for case in cases] == [f"case{n}" for n in range(6)]
    assert cases[0].image == tmp_path / "image0.nii.gz"
    assert cases[0].points is None
    assert [c.split for c in cases_of_split(cases, "val")] == ["val", "val"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case,file\na,b\n", "got no image, split"),
        ("case,image,split\na\n", "split must be one of"),
        ("case,image,split\na,nothing.nii,train\n", "a: no file .*nothing.nii"),
        ("case,image,split\na,image0.nii.gz,training\n", "got 'training'"),
        ("case,image,split\n" + 2 * "a,image0.nii.gz,train\n", "a is listed twice"),
        ("case,image,split\na,image0.nii.gz,train\nA,image1.nii.gz,train\n", "a and A"),
        ("case,image,split\n", "no case"),
        ("", "no case, image, split"),
        ("case,image,split\n,image0.nii.gz,train\n", "row 1: no name"),
        ("case,image,split\na,,train\n", "a: no image"),
        ("case,image,split\na,b\0.nii,train\n", "zero byte"),
        (f"case,image,split\na,{300 * 'b'},train\n", "a: no file"),
        ("case,image,split\na,image0.nii.gz,train,x\n", "line 2: .* at most 3 cells"),
        ("case,image,image,split\na,b,c,train\n", "image twice"),
        (
            "case,image,labels,split\na,image0.nii.gz,image0.nii.gz,train\n",
            "a: labels and image are one file",
        ),
    ],
)
def test_faults_of_a_manifest_are_named(text, message, tmp_path):
    write_cohort(tmp_path, 2, 0)
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_manifest(tmp_path / "bad.csv")


def test_a_manifest_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "cases.csv").write_bytes(b"\x1f\x8b\xff\x00\xfe")
    with pytest.raises(InputError, match="another kind of file"):
        read_manifest(tmp_path / "cases.csv")


def test_missing_manifest_and_empty_split_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.csv: expected a file, got none"):
        read_manifest(tmp_path / "none.csv")
    cases = read_manifest(write_cohort(tmp_path, 2, 1))
    with pytest.raises(InputError, match="split 'val': expected at least two cases"):
        cases_of_split(cases, "val")


@pytest.mark.parametrize("line_ending", ["\n", "\r\n"])
def test_a_written_manifest_reads_the_same_and_is_written_once(line_ending, tmp_path):
    path = tmp_path / "cases.csv"
    (tmp_path / "images").mkdir()
    for name in ("images/a.nii.gz", "b, c.nii", "b.csv"):
        (tmp_path / name).touch()
    cases = (
        Case("a", tmp_path / "images" / "a.nii.gz", None, None, "train"),
        Case("é", tmp_path / "b, c.nii", None, tmp_path / "b.csv", "test"),
    )
    assert write_manifest(cases, path, line_ending=line_ending)
    assert read_manifest(path) == cases
    lines = (
        "case,image,labels,points,split",
        "a,images/a.nii.gz,,,train",
        'é,"b, c.nii",,b.csv,test',
    )
    text = "".join(line + line_ending for line in lines)
    assert path.read_bytes() == text.encode()
    written = path.stat().st_mtime_ns
    assert not write_manifest(cases, path, line_ending=line_ending)
    assert path.stat().st_mtime_ns == written
    assert write_manifest(cases[:1], path, line_ending=line_ending)


def test_subjects_and_cohorts_are_kept_and_written_where_there_are_any(tmp_path):
    path = tmp_path / "cases.csv"
    for name in "ab":
        (tmp_path / f"{name}.nii").touch()
    plain = Case("a", tmp_path / "a.nii", None, None, "train")
    other = replace(plain, name="b", image=tmp_path / "b.nii")
    cases = (replace(plain, subject="anna"), other)
    write_manifest(cases, path)
    assert path.read_text("utf-8").splitlines() == [
        "case,image,labels,points,split,subject",
        "a,a.nii,,,train,anna",
        "b,b.nii,,,train,",
    ]
    assert read_manifest(path) == cases
    cases = (cases[0], replace(cases[1], cohort="lits"))
    write_manifest(cases, path)
    assert path.read_text("utf-8").splitlines()[0].endswith(",split,subject,cohort")
    assert read_manifest(path) == cases


def test_cases_of_one_image_get_a_warning_that_names_them_and_their_splits(tmp_path):
    write_cohort(tmp_path)
    manifest = tmp_path / "cases.csv"
    (tmp_path / "link.nii.gz").symlink_to(tmp_path / "image0.nii.gz")
    cases = read_manifest(manifest)
    link = tmp_path / "link.nii.gz"
    again = replace(cases[0], name="again", image=link, split="val")
    write_manifest([*cases, again], manifest)
    named = r"one and the same image: case0 \(train\) and again \(val\)"
    with pytest.warns(SuspiciousInputWarning, match=named):
        assert len(read_manifest(manifest)) == 7


def test_a_manifest_and_its_files_are_inputs_of_the_command(tmp_path):
    manifest = write_cohort(tmp_path)
    with reading([]):
        cases = read_manifest(manifest)
        for path in (manifest, cases[0].image, cases[0].labels):
            with pytest.raises(InputError, match="same file as the input"):
                check_is_no_input(path)
        check_is_no_input(tmp_path / "new.csv")


def test_paths_from_a_linked_folder_lead_to_the_files(tmp_path):
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "a.nii").touch()
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "away")
    case = Case("a", tmp_path / "link" / "../../scans/a.nii", None, None, "train")
    assert case.image.exists()
    for folder in ("link", "far"):
        write_manifest([case], tmp_path / folder / "cases.csv")
        (read,) = read_manifest(tmp_path / folder / "cases.csv")
        assert read.image.samefile(tmp_path / "scans" / "a.nii")


def write_rows(folder, rows):
    """Writes a manifest of a cohort's files, with subjects and cohorts."""
    text = "\n".join(["case,image,labels,split,subject,cohort", *rows])
    (folder / "again.csv").write_text(text)
    return folder / "again.csv"


def pack_again(path, copy):
    """Packs what is in a gzip once more, by another rate of compression."""
    copy.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), 1))


def test_a_scan_packed_again_or_unpacked_is_the_same_scan(tmp_path):
    write_cohort(tmp_path, 2, 0)
    pack_again(tmp_path / "image0.nii.gz", tmp_path / "copy.nii.gz")
    plain = gzip.decompress((tmp_path / "image0.nii.gz").read_bytes())
    (tmp_path / "plain.nii").write_bytes(plain)
    files = ["image0.nii.gz", "image1.nii.gz", "copy.nii.gz", "plain.nii"]
    rows = [f"{n},{file},,train,," for n, file in enumerate(files)]
    with pytest.warns(SuspiciousInputWarning, match=r"0 \(t.* and 2 \(t.* and 3 \(t"):
        read_manifest(write_rows(tmp_path, rows))


def test_damaged_empty_and_missing_files_are_the_same_as_none(tmp_path):
    (tmp_path / "image.nii").write_bytes(b"\x1f\x8b cut")
    for name in "abc":
        (tmp_path / name).write_bytes(b"\x1f\x8b cut short, twice"[: 9 * (name != "c")])
    assert same_content([tmp_path / name for name in "abcd"]) == []


def test_one_scan_of_two_subjects_contradicts_itself(tmp_path):
    write_cohort(tmp_path, 2, 0)
    shutil.copy(tmp_path / "image0.nii.gz", tmp_path / "copy.nii.gz")
    rows = ["a,image0.nii.gz,,train,anna,", "b,copy.nii.gz,,val,bert,"]
    with pytest.raises(InputError, match="a and b are one scan, of the subjects anna"):
        read_manifest(write_rows(tmp_path, rows))
    rows = ["a,image0.nii.gz,,train,1-anna,1", "b,copy.nii.gz,,train,2-bert,2"]
    with pytest.warns(SuspiciousInputWarning, match="one and the same image"):
        read_manifest(write_rows(tmp_path, rows))


def test_a_subject_in_train_and_val_gets_a_warning(tmp_path):
    write_cohort(tmp_path, 2, 0)
    rows = ["a,image0.nii.gz,,train,anna,", "b,image1.nii.gz,,val,anna,"]
    named = r"subjects .* train .*anna: a \(train\) and b \(val\)"
    with pytest.warns(SuspiciousInputWarning, match=named):
        read_manifest(write_rows(tmp_path, rows))


def test_labels_of_two_scans_get_a_warning_unless_it_is_one_subject(tmp_path):
    write_cohort(tmp_path, 2, 0)
    labels = "labels0.nii.gz"
    rows = [f"a,image0.nii.gz,{labels},train,,", f"b,image1.nii.gz,{labels},train,,"]
    with pytest.warns(SuspiciousInputWarning, match="same label map .*: a .* and b"):
        read_manifest(write_rows(tmp_path, rows))
    read_manifest(write_rows(tmp_path, [row[:-1] + "anna," for row in rows]))


def test_missing_files_may_be_left_to_their_cases(tmp_path):
    write_cohort(tmp_path, 2, 0)
    rows = ["a,image0.nii.gz,,train,,", "b,nothing.nii.gz,,val,,"]
    cases = read_manifest(write_rows(tmp_path, rows), may_lack_files=True)
    assert [case.image.exists() for case in cases] == [True, False]


def test_names_that_are_formulas_come_back(tmp_path):
    for n in range(4):
        (tmp_path / f"{n}.nii").write_bytes(bytes([n]))
    names = ["=1+1", "-a", "'=b", "@sum"]
    cases = [
        Case(name, tmp_path / f"{n}.nii", None, None, "train")
        for n, name in enumerate(names)
    ]
    write_manifest(cases, tmp_path / "cases.csv")
    starts = [
        line[0] for line in (tmp_path / "cases.csv").read_text("utf-8").splitlines()
    ]
    assert starts == ["c", *4 * "'"]
    assert read_manifest(tmp_path / "cases.csv") == tuple(cases)


def test_cases_of_label_maps_alone_are_read_where_scans_may_lack(tmp_path):
    for name in ("a", "b", "scan"):
        (tmp_path / name).touch()
    text = "case,image,labels,split\none,scan,a,train\ntwo,,b,train\n"
    path = tmp_path / "cases.csv"
    path.write_text(text)
    with pytest.raises(InputError, match="two: no image"):
        read_manifest(path)
    one, two = read_manifest(path, may_lack_scans=True)
    assert (one.has_scan, two.has_scan) == (True, False)
    assert (two.image, two.labels) == (tmp_path / "b", tmp_path / "b")
    path.write_text("case,labels,split\none,a,train\ntwo,,train\n")
    with pytest.raises(InputError, match="two: no image"):
        read_manifest(path, may_lack_scans=True)
    path.write_text("case,labels,split\none,a,train\n")
    assert not read_manifest(path, may_lack_scans=True)[0].has_scan
    with pytest.raises(InputError, match="image"):
        read_manifest(path)
