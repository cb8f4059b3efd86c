"""Small stand-ins for cohorts, laid out on disk as their authors do."""

import csv
import gzip
import json
import locale
import shutil
from contextlib import contextmanager
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk

from support.cohorts import blob
from support.scans import STORAGE_ORDERS, stored
from voltween import io
from voltween.cohorts.downloads.analyze import directions_of
from voltween.spatial import Grid, Image, LabelMap

SHAPE = (22, 20, 18)

# name: (image, labels or None), where they truly are.
Truth = dict[str, tuple[Image, LabelMap | None]]


def head(seed):
    """An MR head and its tissues, at whole numbers."""
    image, labels = blob(seed, SHAPE)
    return Image(np.rint(image.data), image.grid), labels


def abdomen(seed):
    """A CT in Hounsfield units with a liver (1) and a tumour in it (2)."""
    image, labels = blob(seed, SHAPE)
    noise = np.random.default_rng(seed).normal(0, 15, SHAPE)
    data = np.where(labels.data > 0, 60 + 20.0 * labels.data, -900) + noise
    return Image(np.rint(data), image.grid), labels


def centered(volume):
    """The volume with its middle at 0, where Analyze files are laid."""
    affine = volume.grid.affine.copy()
    affine[:3, 3] -= volume.grid.center_mm
    return type(volume)(volume.data, Grid(volume.grid.shape, affine))


def in_order(volume, number):
    """The volume in one of the 48 storage orders."""
    return stored(volume, STORAGE_ORDERS[number * 11 % 48])


def write(volume, path):
    """Write a volume where there may be no folder yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    io.write(volume, path)


def write_mhd(volume, path):
    """Write a volume as a MetaImage in two files."""
    one_file = path.with_suffix(".mha")
    write(volume, one_file)
    sitk.WriteImage(sitk.ReadImage(str(one_file)), str(path))
    one_file.unlink()


def write_analyze(volume, path, *, axes, packed=False):
    """Write a volume as Analyze 7.5, array axes along `axes`, as a series of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ours = _turned_to(volume, axes)
    image = nibabel.AnalyzeImage(ours.data.astype(np.int16)[..., None], None)
    image.header.set_zooms((*ours.grid.spacing_mm, 1.0))
    nibabel.save(image, path.with_name(f"{path.name}.img"))
    if packed:
        plain = path.with_name(f"{path.name}.img")
        with plain.open("rb") as file, gzip.open(f"{plain}.gz", "wb") as copy:
            shutil.copyfileobj(file, copy)
        plain.unlink()


@contextmanager
def kept_locale():
    """Restores the locale, which GDCM's writer sets to "C", without UTF-8."""
    before = locale.setlocale(locale.LC_ALL)
    yield
    locale.setlocale(locale.LC_ALL, before)


def write_dicom(image, folder):
    """Write an image as a DICOM series of one folder."""
    with kept_locale():
        _write_dicom(image, folder)


def _write_dicom(image, folder):
    folder.mkdir(parents=True)
    io.write(image, folder / "volume.nii")
    volume = sitk.Cast(sitk.ReadImage(str(folder / "volume.nii")), sitk.sitkInt16)
    (folder / "volume.nii").unlink()
    directions = np.array(volume.GetDirection()).reshape(3, 3)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for number in range(volume.GetSize()[2]):
        layer = volume[:, :, number]
        place = volume.TransformIndexToPhysicalPoint((0, 0, number))
        tags = {
            "0008|0060": "MR",
            "0020|000d": "1.2.3",
            "0020|000e": f"1.2.3.{sum(map(ord, folder.name))}",
            "0020|0013": str(number),
            "0020|0032": "\\".join(f"{mm:.6f}" for mm in place),
            "0020|0037": "\\".join(f"{v:.6f}" for v in directions.T[:2].ravel()),
        }
        for tag, value in tags.items():
            layer.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{number:03}.dcm"))
        writer.Execute(layer)


def lits(folder) -> Truth:
    truth = {}
    for number in range(4):
        image, labels = abdomen(number)
        batch = folder / "media" / "nas" / f"Training Batch {number // 2 + 1}"
        write(in_order(image, number), batch / f"volume-{number}.nii")
        # A liver stored in another order than its scan is in the same place.
        write(in_order(labels, number + 1), batch / f"segmentation-{number}.nii")
        liver = LabelMap((labels.data > 0).astype(np.uint8), labels.grid)
        truth[f"lits-{number}"] = image, liver
    return truth


def sliver07(folder) -> Truth:
    truth = {}
    for number in (1, 2):
        image, labels = abdomen(number)
        liver = LabelMap((labels.data > 0).astype(np.uint8), labels.grid)
        ours = [in_order(volume, number) for volume in (image, liver)]
        write_mhd(ours[0], folder / "scan" / f"liver-orig{number:03}.mhd")
        write_mhd(ours[1], folder / "label" / f"liver-seg{number:03}.mhd")
        truth[f"sliver07-{number:03}"] = image, liver
    return truth


def lpba40(folder) -> Truth:
    truth = {}
    for number, axes in ((1, "LAS"), (2, "PIR")):
        image, _ = head(number)
        image = centered(image)
        place = folder / "LPBA40" / "delineation_space" / f"S{number:02}"
        name = f"S{number:02}.delineation"
        labels = structures(image)
        write_analyze(image, place / f"{name}.skullstripped", axes=axes, packed=True)
        write_analyze(labels, place / f"{name}.structure.label", axes=axes, packed=True)
        truth[f"S{number:02}"] = image, labels
    return truth


def abide1(folder) -> Truth:
    truth = abide(folder)
    return {name: truth[name] for name in ABIDE1_PLACES}


def abide2(folder) -> Truth:
    truth = abide(folder)
    return {name: truth[name] for name in ABIDE2_PLACES}


def abide(folder) -> Truth:
    """Both parts of ABIDE in one folder, in the layouts of NITRC and BIDS."""
    truth = {}
    for number, (name, place) in enumerate((ABIDE1_PLACES | ABIDE2_PLACES).items()):
        image, _ = head(number)
        write(in_order(image, number), folder / place)
        truth[name] = image, None
    write(image, folder / "NYU" / "0050952" / "session_1" / "rest_1" / "rest.nii.gz")
    return truth


ABIDE1_PLACES = {
    "0050642": "bids/sub-0050642/anat/sub-0050642_T1w.nii.gz",
    "0050952": "NYU/0050952/session_1/anat_1/mprage.nii.gz",
    "0050953": "NYU/0050953/session_1/anat_1/mprage.nii.gz",
    "0051206": "UCLA_1/0051206/session_1/anat_1/mprage.nii.gz",
}
ABIDE2_PLACES = {
    "28741": "ABIDEII-GU_1/28741/session_1/anat_1/anat.nii.gz",
    "28742": "bids/sub-28742/ses-1/anat/sub-28742_ses-1_run-1_T1w.nii.gz",
    "30168": "STANFORD/30168/session_1/anat_1/anat.nii.gz",
    "51206-2": "ABIDEII-UCLA_Long/51206/session_2/anat_1/anat.nii.gz",
}


def adhd200(folder) -> Truth:
    truth = {}
    for number in range(4):
        image, _ = head(number)
        place = folder / "KKI" / f"101895{number}" / "session_1" / "anat_1"
        write(in_order(image, number), place / "mprage.nii.gz")
        truth[f"101895{number}"] = image, None
    return truth


def adni(folder) -> Truth:
    truth = {}
    for number in range(4):
        image, _ = head(number)
        person, scan = f"00{number}_S_0413", f"I1389{number}"
        place = folder / "ADNI" / person / "MP-RAGE" / "2006-05-02_12_31_52.0" / scan
        if number % 2:
            write_dicom(in_order(image, 5), place)
        else:
            write(in_order(image, number), place / f"ADNI_{person}_MR_{scan}.nii")
        truth[f"{person}-{scan}"] = image, None
    return truth


def oasis(folder) -> Truth:
    image, labels = head(0)
    neurite = folder / "OASIS_OAS1_0001_MR1"
    for kind in ("norm", "aligned_norm"):
        write(in_order(image, 3), neurite / f"{kind}.nii.gz")
    for kind in ("seg35", "aligned_seg35"):
        write(in_order(labels, 3), neurite / f"{kind}.nii.gz")
    truth = {"OAS1_0001": (image, labels)}
    for number, axes, place, has_labels in (
        (2, "LAS", "PROCESSED/MPRAGE/T88_111/{}_mpr_n4_anon_111_t88_masked_gfc", True),
        (3, "ASL", "PROCESSED/MPRAGE/SUBJ_111/{}_mpr_n4_anon_sbj_111", False),
        (4, "ASL", "RAW/{}_mpr-1_anon", False),
    ):
        session = f"OAS1_{number:04}_MR1"
        image, labels = (centered(volume) for volume in head(number))
        path = folder / "disc1" / session / place.format(session)
        write_analyze(image, path, axes=axes)
        if has_labels:
            name = f"{path.name}_fseg"
            fsl = folder / "disc1" / session / "FSL_SEG" / name
            write_analyze(labels, fsl, axes=axes)
        truth[session[:-4]] = image, labels if has_labels else None
    return truth


def learn2reg(folder) -> Truth:
    truth = {}
    rows, pairs = [], []
    for number in range(4):
        image, labels = head(number)
        name = f"Task_{number // 2:04}_{number % 2:04}"
        ours = [in_order(volume, number) for volume in (image, labels)]
        write(ours[0], folder / "imagesTr" / f"{name}.nii.gz")
        write(ours[1], folder / "labelsTr" / f"{name}.nii.gz")
        (folder / "keypointsTr").mkdir(exist_ok=True)
        with (folder / "keypointsTr" / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([[0, 0, 0], [3.5, 4.25, 5]])
        row = {"image": f"./imagesTr/{name}.nii.gz"}
        rows.append(row | {"label": f"./labelsTr/{name}.nii.gz"})
        truth[name] = image, labels
    pairs = [{"fixed": rows[3]["image"], "moving": rows[2]["image"]}]
    facts = {"name": "Task", "training": rows, "test": [], "registration_val": pairs}
    (folder / "Task_dataset.json").write_text(json.dumps(facts))
    return truth


def rcn(folder) -> Truth:
    import h5py

    truth = {}
    for stem, numbers in (("adni", range(4)), ("sliver_val", range(4, 6))):
        with h5py.File(folder / f"{stem}.h5", "w") as file:
            for number in numbers:
                image, labels = (_unit(volume) for volume in head(number))
                data = np.rint(image.data * 0.2).clip(0, 255).astype(np.uint8)
                group = file.create_group(str(number))
                group["volume"] = data
                has_labels = stem.endswith("_val")
                if has_labels:
                    group["segmentation"] = (255 * (labels.data > 0)).astype(np.uint8)
                    group["point"] = np.array([[1, 2, 3]] * 6)
                mask = LabelMap((labels.data > 0).astype(np.uint8), labels.grid)
                ours = Image(data, image.grid)
                truth[f"{stem}-{number}"] = ours, mask if has_labels else None
    return truth


def folder(place) -> Truth:
    """Somebody's own heads: files, pairs of files and DICOM, some with labels."""
    truth = {}
    for number, name in enumerate(("anna", "ben", "clinic-carl", "dora")):
        image, labels = head(number)
        path = place / "images" / name.replace("-", "/")
        if name == "anna":
            write(in_order(image, 3), path.with_suffix(".nii.gz"))
            write(in_order(labels, 5), place / "labels" / "anna.mha")
        elif name == "ben":
            write_dicom(in_order(image, 5), path)
        else:
            write_mhd(in_order(image, number), path.with_suffix(".mhd"))
        truth[name] = image, labels if name == "anna" else None
    return truth


STANDINS = (
    *(lits, sliver07, lpba40, abide1, abide2, adhd200, adni, oasis),
    *(learn2reg, rcn, folder),
)


def zipped(folder: Path, path: Path) -> Path:
    """A zip of the folder."""
    return Path(shutil.make_archive(str(path), "zip", folder))


def _unit(volume):
    """The volume with voxels of 1 mm and its middle at 0."""
    affine = np.eye(4)
    affine[:3, 3] = -(np.array(volume.data.shape) - 1) / 2
    return type(volume)(volume.data, Grid(volume.data.shape, affine))


def structures(image):
    """Some labels of LPBA40 in a brain, where they belong."""
    data = np.zeros(image.grid.shape, np.int16)
    i, j, k = (n // 2 for n in image.grid.shape)
    data[3:i, j:-3, k:-3], data[i:-3, j:-3, k:-3] = 21, 22
    data[3:i, 3:j, k:-3], data[i:-3, 3:j, k:-3] = 61, 62
    data[3:-3, 4:-4, 4:k] = 181
    return LabelMap(data, image.grid)


def _turned_to(volume, axes):
    """The volume, stored with its axes in RAS order, with axes as named."""
    wanted = directions_of(axes)
    order = np.abs(wanted).argmax(axis=0)
    flips = [bool(wanted[world, axis] < 0) for axis, world in enumerate(order)]
    return stored(volume, (tuple(int(n) for n in order), tuple(flips)))
