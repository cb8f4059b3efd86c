"""Things passed by mistake are refused with advice, also without type checks.

The tests' own checks of types would answer first, so all mistakes are made in one
process without them.
"""

import json
import subprocess
import sys

import pytest

MISTAKES = {
    "vt.Image(array.tolist(), grid)": "numpy.array",
    "vt.Image('scan.nii', grid)": "voltween.read",
    "vt.Image(torch.zeros(4, 4, 4), grid)": "from_torch",
    "vt.Image(array, affine)": "Grid(array.shape, affine)",
    "vt.Image(array, image)": "give its .grid",
    "vt.Image(array + 1j, grid)": "real numbers",
    "vt.LabelMap(array.astype(str), grid)": "real numbers",
    "vt.Grid(array, affine)": "give its .shape",
    "vt.Grid((4.5, 4, 4), affine)": "three positive sizes",
    "vt.Grid((4, 4, 4), 'RAS')": "a finite 4x4 matrix",
    "vt.Points('points.csv')": "positions in mm",
    "vt.Points([[1, 2, 3], [1, 2]])": "positions in mm",
    "vt.Affine(grid)": "a finite 4x4 matrix",
    "vt.DisplacementField(affine, array)": "Grid(array.shape, affine)",
    "vt.Composite((affine,))": "Affine(matrix)",
    "transform.map_points(array[0])": "Points(array)",
    "transform.map_positions(points)": "map_points",
    "transform.map_positions(array[0, 0])": "shape (N, 3)",
    "transform.resample(array, onto=grid)": "Image(array, grid)",
    "transform.resample(image, onto=image)": "give its .grid",
    "transform.to_field(image)": "give its .grid",
    "transform @ affine": "Affine(matrix)",
    "transform @ points": "map_points",
    "vt.write(array, 'x.nii')": "Image(array, grid)",
    "vt.write('x.nii', image)": "the thing comes first",
    "vt.write(image, 5)": "a path",
    "vt.read(['a.nii', 'b.nii'])": "a path",
    "vt.read_labels(image)": "a path",
    "vt.read_points(array)": "a path",
    "vt.read_transform(None)": "a path",
    "vt.load_model(3)": "its name or its file",
    "vt.load_model('brain').to(None)": "auto, cpu, cuda",
    "vt.register(image, image, model=3)": "its name or its file",
    "vt.register(image, labels)": "give label maps as labels",
    "vt.register(array, array)": "an array alone",
    "vt.register(image, torch.zeros(4, 4, 4))": "Image.from_torch",
    "vt.register(image, image, guidance=labels)": "Guidance(fixed=Side(mask=mask))",
    "vt.register(image, image, on_step=3)": "a function that takes a Step",
    "vt.register(image, image, refinement=3)": "deformable",
    "vt.Side(mask=array)": "LabelMap(array, grid)",
    "vt.Side(points=array)": "Points(array)",
    "vt.Side(channels=image)": "(image,)",
    "vt.Guidance(labels)": "Guidance(fixed=Side(mask=mask))",
    "vt.Guidance(initial=affine)": "Affine(matrix)",
    "vt.Refinement(3)": "a tuple of Level",
    "vt.Refinement(((2, 10, 0.5),))": "a tuple of Level",
    "vt.Refinement(vt.FAST.levels, similarity='mse')": "a function (fixed, moved)",
    "vt.Refinement(vt.FAST.levels, folding='much')": "a number",
}
PROGRAM = """
import json, sys
import numpy as np, torch
import voltween as vt

affine = np.eye(4)
grid = vt.Grid((4, 4, 4), affine)
array = np.arange(64.0).reshape(4, 4, 4)
image = vt.Image(array, grid)
labels = vt.LabelMap(np.ones((4, 4, 4), np.uint8), grid)
points = vt.Points(np.zeros((2, 3)))
transform = vt.Affine.identity()
answers = {}
for mistake in json.load(sys.stdin):
    try:
        answers[mistake] = f"accepted: {eval(mistake)}"
    except vt.InputError as error:
        answers[mistake] = str(error)
    except Exception as error:
        answers[mistake] = f"{type(error).__name__}: {error}"
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def answers():
    """The text of the error that each mistake gets."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(list(MISTAKES)),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_answered_with_advice(answers, mistake):
    assert ": expected " in answers[mistake]
    assert MISTAKES[mistake] in answers[mistake]


def test_public_names_are_all_that_the_library_lists():
    import voltween

    names = dir(voltween)
    assert names == sorted(voltween.__all__)
    assert all(hasattr(voltween, name) for name in names)
    assert not [name for name in names if name.startswith("_")]
