"""Templates of files: what is left out, what goes on, what is refused."""

import shutil
import weakref

import numpy as np
import pytest

from support.known_pair import SCENE, blobs
from support.registering import KnownRegistrations
from voltween import io
from voltween.batches import RefinementOptions
from voltween.cohorts import Case
from voltween.errors import InputError, SuspiciousInputWarning
from voltween.refinement import Refinement
from voltween.spatial import Affine, Grid, Image
from voltween.templates import AveragingOptions, TemplateOptions, build_template
from voltween.templates.rounds import foreground_mm

PLAIN = AveragingOptions(sharpen=0.0)
RUN = TemplateOptions(rounds=2, averaging=PLAIN)


def about_center(scale, center):
    matrix = np.diag([scale, scale, scale, 1.0])
    matrix[:3, 3] = center - scale * center
    return Affine(matrix)


def scan(scale=1.0, seed=0):
    """Blobs that are larger than those of others by a factor."""
    positions = SCENE.voxel_centers_mm().reshape(-1, 3) - SCENE.center_mm
    return blobs(SCENE, positions / scale, seed)


def write_cases(folder, images):
    """Writes scans; returns their cases."""
    cases = []
    for name, image in images.items():
        io.write(image, folder / f"{name}.nii.gz")
        path = folder / f"{name}.nii.gz"
        cases.append(Case(name, path, None, None, split="train"))
    return cases


def identity(fixed, moving):
    return Affine.identity()


def similar(seed):
    """A scan of the same blobs, with noise that differs."""
    image = scan()
    noise = np.random.default_rng(seed).normal(0, 1, image.data.shape)
    return Image(image.data + noise, image.grid)


def correlation(one, other):
    return np.corrcoef(one.data.ravel(), other.data.ravel())[0, 1]


def build(cases, out, run=RUN, registering=None):
    """A template that starts from the first scan."""
    registering = registering or KnownRegistrations(identity)
    return build_template(cases, out, run, registering, start=cases[0].image)


@pytest.fixture(name="three")
def three_fixture(tmp_path):
    """Three scans of one object."""
    return write_cases(tmp_path, {name: similar(n) for n, name in enumerate("abc")})


def test_the_template_of_identical_scans_is_the_scan(tmp_path):
    cases = write_cases(tmp_path, {name: scan() for name in "ab"})
    with pytest.warns(SuspiciousInputWarning, match="one scan"):
        result = build_template(
            cases,
            tmp_path / "out",
            TemplateOptions(rounds=0, averaging=PLAIN),
            KnownRegistrations(identity),
        )
    template, original = io.read(result.template), io.read(cases[0].image)
    moved = io.read_transform(result.transform("a")).resample(
        original, onto=template.grid
    )
    gain = (
        np.dot(moved.data.ravel(), template.data.ravel())
        / np.square(moved.data.astype(float)).sum()
    )
    assert np.allclose(template.data, gain * moved.data, atol=1e-4)


def test_the_template_of_identical_scans_keeps_a_start(tmp_path):
    cases = write_cases(tmp_path, {"a": similar(1), "b": similar(2)})
    start = tmp_path / "start.nii.gz"
    io.write(scan(), start)
    known = KnownRegistrations(identity)
    result = build_template(cases, tmp_path / "out", RUN, known, start=start)
    template = io.read(result.template)
    assert template.grid.is_close(SCENE)
    assert correlation(template, scan()) > 0.9999
    assert known.rounds == ["1", "2"]


def test_the_template_of_a_large_and_a_small_copy_is_in_the_middle(tmp_path):
    """Copies 1.2 times as large and as small as a scan: the mean is that scan."""
    sizes = {"large": 1.2, "small": 1 / 1.2}
    cases = write_cases(tmp_path, {name: scan(size) for name, size in sizes.items()})
    size_of = {tmp_path / f"{name}.nii.gz": size for name, size in sizes.items()}

    def answer(fixed, moving):
        """From the template of a round, whose size only the first round knows."""
        own = size_of.get(fixed, 1.0)
        return about_center(size_of[moving] / own, SCENE.center_mm)

    start = tmp_path / "large.nii.gz"
    run = TemplateOptions(rounds=1, averaging=PLAIN)
    known = KnownRegistrations(answer)
    result = build_template(cases, tmp_path / "out", run, known, start=start)
    mean = io.read_transform(result.transform("large"))
    middle = about_center(1.2, SCENE.center_mm)
    shift = mean.map_positions(SCENE.corners_mm()) - middle.map_positions(
        SCENE.corners_mm()
    )
    assert np.abs(shift - shift.mean(axis=0)).max() < 1e-3  # the same size
    inner = np.s_[4:-4, 4:-4, 4:-4]
    template, expected = io.read(result.template).data[inner], scan().data[inner]
    assert np.corrcoef(template.ravel(), expected.ravel())[0, 1] > 0.97


def test_transforms_and_their_inverses_are_files_that_others_read(three, tmp_path):
    result = build(three, tmp_path / "out")
    points = SCENE.center_mm[None] + np.arange(9.0).reshape(3, 3)
    for name in "abc":
        path = tmp_path / "out" / "transforms" / f"{name}.h5"
        there = io.read_transform(path)
        back = io.read_transform(path.with_name(f"{name}_inverse.h5"))
        assert np.allclose(there.map_positions(back.map_positions(points)), points)
    assert result.left_out == {}


def test_memory_holds_few_transforms_at_once(tmp_path, monkeypatch):
    """Displacement fields of a large cohort have no room in memory together."""
    cases = write_cases(tmp_path, {n: similar(k) for k, n in enumerate("abcdef")})
    read, made, most = io.read_transform, [], 0

    def counted(path):
        nonlocal most
        transform = read(path)
        made.append(weakref.ref(transform))
        most = max(most, sum(one() is not None for one in made))
        return transform

    monkeypatch.setattr(io, "read_transform", counted)
    build(cases, tmp_path / "out")
    assert len(made) > len(cases)
    assert most <= 3  # the update, that of a scan, and that of the scan before


def test_what_is_resumed_equals_what_is_not_interrupted(three, tmp_path):
    class StoppedError(BaseException):
        pass

    def stop_in_round_2(works, folder):
        if folder.name == "2":
            raise StoppedError
        return KnownRegistrations(identity)(works, folder)

    with pytest.raises(StoppedError):
        build(three, tmp_path / "one", registering=stop_in_round_2)
    kept = (tmp_path / "one" / "rounds" / "1" / "template.nii.gz").stat()
    for name in ("one", "other"):
        build(three, tmp_path / name)
    again = (tmp_path / "one" / "rounds" / "1" / "template.nii.gz").stat()
    assert again.st_mtime_ns == kept.st_mtime_ns
    files = [
        path.relative_to(tmp_path / "other")
        for path in (tmp_path / "other").rglob("*")
        if path.is_file() and path.parent.name != "records"
    ]
    assert len(files) > 15
    for file in files:
        one, other = (tmp_path / n / file for n in ("one", "other"))
        assert one.read_bytes() == other.read_bytes(), file


def test_more_rounds_go_on_from_those_that_are_done(three, tmp_path):
    out = tmp_path / "out"
    first = TemplateOptions(rounds=1, averaging=PLAIN)
    build(three, out, first)
    before = (out / "rounds" / "1" / "template.nii.gz").stat().st_mtime_ns
    build(three, out)
    assert (out / "rounds" / "1" / "template.nii.gz").stat().st_mtime_ns == before
    assert (out / "template.nii.gz").read_bytes() == (
        out / "rounds" / "2" / "template.nii.gz"
    ).read_bytes()


def test_a_damaged_round_is_made_again(three, tmp_path):
    out = tmp_path / "out"
    build(three, out)
    damaged = out / "rounds" / "1" / "template.nii.gz"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-1] + b"x")
    with pytest.warns(SuspiciousInputWarning, match="made again"):
        build(three, out)
    assert damaged.read_bytes() == whole


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"verdicts": {"b": "failed"}}, "verdict failed: as the test wants it"),
        ({"signs": {"b": -0.5}}, "another modality"),
        ({"errors": {"b": "no registration"}}, "no registration"),
    ],
)
def test_bad_registrations_are_left_out_and_said(three, tmp_path, fault, reason):
    known = KnownRegistrations(identity, **fault)
    result = build(three, tmp_path / "out", registering=known)
    assert reason in result.left_out["b"]
    assert reason in (tmp_path / "out" / "summary.md").read_text("utf-8")
    names = {path.name for path in (tmp_path / "out" / "transforms").iterdir()}
    assert names == {f"{n}{end}.h5" for n in "ac" for end in ("", "_inverse")}


def test_a_scan_that_cannot_be_read_does_not_stop_the_others(three, tmp_path):
    (tmp_path / "b.nii.gz").write_bytes(b"no scan")
    result = build(three, tmp_path / "out")
    assert [*result.left_out] == ["b"]


def test_a_scan_alone_has_no_template(three, tmp_path):
    known = KnownRegistrations(identity)
    with pytest.raises(InputError, match="at least two"):
        build_template(three[:1], tmp_path / "out", RUN, known)
    failing = KnownRegistrations(identity, verdicts={"b": "failed", "c": "failed"})
    with pytest.raises(InputError, match=r"at least two.*b: verdict failed"):
        build(three, tmp_path / "out2", registering=failing)


@pytest.mark.parametrize("names", [("A", "A_inverse"), ("A", "a")])
def test_names_that_would_share_a_file_are_refused(names, tmp_path):
    """The transform to one scan would take the place of the inverse of another."""
    cases = [Case(n, tmp_path / "x.nii.gz", None, None, split="") for n in names]
    with pytest.raises(InputError, match="which would share transforms/") as caught:
        build(cases, tmp_path / "out")
    assert " and ".join(names) in caught.value.got
    assert not (tmp_path / "out").exists()


def test_positions_of_the_foreground_of_a_ct_are_in_the_body():
    """Padding, darker than air, makes air no foreground."""
    data = np.full(SCENE.shape, -1000.0)
    data[:, :4], data[5:-5, 7:-5, 5:-5] = -3024, 40
    image = Image(data, SCENE)
    positions = foreground_mm(image, is_ct=True)
    voxels = np.rint(SCENE.world_to_voxel(positions)).astype(int)
    assert (data[tuple(voxels.T)] == 40).all()


def test_ct_and_mr_are_not_mixed(three, tmp_path):
    data = np.full(SCENE.shape, -1000.0)
    data[3:-3, 3:-3, 3:-3], data[9, 9, 5:12] = 40, 900
    data += np.random.default_rng(0).uniform(0, 9, SCENE.shape)
    cases = [*three, *write_cases(tmp_path, {"ct": Image(data, SCENE)})]
    with pytest.raises(InputError, match="one modality"):
        build_template(cases, tmp_path / "out", RUN, KnownRegistrations(identity))


def test_scans_may_lie_anywhere(tmp_path):
    """The place of the scanner's zero makes no difference to the template."""
    images = {"here": similar(1), "there": similar(2)}
    shift = np.eye(4)
    shift[:3, 3] = 900, -700, 400
    far = Grid(SCENE.shape, shift @ SCENE.affine)
    images["there"] = Image(images["there"].data, far)
    cases = write_cases(tmp_path, images)

    def answer(fixed, moving):
        is_moved = moving.name.startswith("there"), fixed.name.startswith("there")
        return Affine(
            np.linalg.matrix_power(shift, int(is_moved[0]) - int(is_moved[1]))
        )

    run = TemplateOptions(rounds=0, averaging=PLAIN)
    result = build_template(cases, tmp_path / "out", run, KnownRegistrations(answer))
    template = io.read(result.template)
    assert np.linalg.norm(template.grid.center_mm) < 40
    positions = template.grid.center_mm[None]
    maps = [io.read_transform(result.transform(name)) for name in images]
    apart = maps[1].map_positions(positions) - maps[0].map_positions(positions)
    assert np.allclose(apart, shift[:3, 3], atol=1e-6)


def test_a_symmetric_template_is_symmetric(three, tmp_path):
    averaging = AveragingOptions(mirrored=True)
    run = TemplateOptions(rounds=1, averaging=averaging)
    start = tmp_path / "start.nii.gz"
    data = scan().data
    io.write(Image(data + data[::-1], SCENE), start)
    known = KnownRegistrations(identity)
    result = build_template(three, tmp_path / "out", run, known, start=start)
    template = io.read(result.template).data
    assert np.allclose(template, template[::-1], atol=1e-5)
    assert known.rounds == ["1"]


def test_other_options_begin_anew_where_they_matter(three, tmp_path):
    out = tmp_path / "out"
    build(three, out)
    before = (out / "template.nii.gz").read_bytes()
    sharp = TemplateOptions(rounds=2, averaging=AveragingOptions(sharpen=2.0))
    build(three, out, sharp)
    assert (out / "template.nii.gz").read_bytes() != before
    shutil.rmtree(out / "rounds")
    build(three, out)
    assert (out / "template.nii.gz").read_bytes() == before


def test_a_trimmed_average_of_few_scans_is_told_to_be_the_mean(three, tmp_path):
    trimmed = AveragingOptions("trimmed", sharpen=0.0)
    run = TemplateOptions(rounds=1, averaging=trimmed)
    build(three, tmp_path / "out", run)
    assert "in round 1: the average is the mean" in summary(tmp_path / "out")
    build(three, tmp_path / "mean", TemplateOptions(rounds=1, averaging=PLAIN))
    assert "trimmed" not in summary(tmp_path / "mean")


def test_a_trimmed_average_of_five_scans_is_told_nothing_of(tmp_path):
    five = write_cases(tmp_path, {name: similar(n) for n, name in enumerate("abcde")})
    trimmed = AveragingOptions("trimmed", sharpen=0.0)
    build(five, tmp_path / "out", TemplateOptions(rounds=1, averaging=trimmed))
    assert "trimmed" not in summary(tmp_path / "out")


def summary(out):
    return (out / "summary.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("model", ["auto", "none"])
def test_without_refinement_a_model_is_required_by_its_name(model):
    """Whether auto finds a model for the later templates is not known before."""
    nothing = RefinementOptions("none")
    with pytest.raises(InputError, match=r"--refine none: expected a .*model"):
        TemplateOptions(model=model, refinement=nothing)
    assert TemplateOptions(model="brain", refinement=nothing).registration


@pytest.mark.parametrize(
    "settings",
    [
        {"refine": "none", "seconds": 1.0},
        {"regularity": 2.0, "transform": "affine"},
        {"image_weight": 1.0},
    ],
)
def test_options_that_no_round_can_use_are_refused_at_once(settings):
    with pytest.raises(InputError):
        TemplateOptions(model="brain", refinement=RefinementOptions(**settings))


@pytest.mark.parametrize(
    "refinement",
    [
        RefinementOptions(regularity=2.0),
        RefinementOptions(symmetric=True),
        RefinementOptions(similarity="features", image_weight=0.5),
        RefinementOptions(voxels=2.0, seconds=60.0),
    ],
)
def test_the_options_of_the_rounds_suit_the_affine_round_before_them(refinement):
    first = TemplateOptions(refinement=refinement).first_registration.refinement
    choice = first.choice(model_name="none", has_guidance=False)
    assert isinstance(choice, Refinement)
    assert choice.transform == "affine"
