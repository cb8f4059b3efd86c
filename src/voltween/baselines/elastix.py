"""elastix, by the package itk-elastix: affine, then B-spline with 1000 iterations.

References:
    Klein et al. 2010, elastix: A Toolbox for Intensity-Based Medical Image
    Registration, doi:10.1109/TMI.2009.2035616.
"""

import tempfile
from pathlib import Path
from typing import Any

from voltween import io
from voltween.baselines.checked import checked
from voltween.errors import InputError
from voltween.transform import Transform
from voltween.volume import Image

PACKAGE = "itk-elastix"
_SEED = "1"  # elastix samples the images at random
_ITERATIONS = "1000"


def elastix(fixed: Image, moving: Image) -> Transform:
    """Fixed to moving world mm by elastix' own default affine and B-spline parameters.

    The B-spline has 1000 iterations a resolution, as the paper's command has it (its
    parameter files are not printed); its control points are 10 mm apart at the end.
    The transform is a field on the fixed grid.

    Raises:
        InputError: If itk-elastix is missing, elastix fails, or its moved image is not
            ours.
    """
    itk = _itk()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = [
            itk.imread(str(io.write(image, folder / f"{role}.nii")), itk.F)
            for role, image in (("fixed", fixed), ("moving", moving))
        ]
        try:
            own, found = itk.elastix_registration_method(
                *images, parameter_object=_parameters(itk), log_to_console=False
            )
            field = itk.transformix_deformation_field(images[1], found)
        except RuntimeError as error:
            raise InputError(
                f"elastix cannot register these images ({_last_line(error)}): leave "
                "them out"
            ) from error
        itk.imwrite(own, str(folder / "moved.mha"))
        itk.imwrite(field, str(folder / "field.mha"))
        transform = io.read_transform(folder / "field.mha")
        moved = io.read(folder / "moved.mha")
        return checked("elastix", transform, fixed, moving, moved)


def _itk() -> Any:
    try:
        import itk

        itk.ElastixRegistrationMethod  # noqa: B018  # the modules are loaded late
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"elastix needs the package {PACKAGE}, which is not installed: "
            "pip install voltween[baselines]"
        ) from error
    return itk


def _parameters(itk: Any) -> Any:
    parameters = itk.ParameterObject.New()
    for kind in ("affine", "bspline"):
        chosen = parameters.GetDefaultParameterMap(kind)
        chosen["RandomSeed"] = [_SEED]
        # Only of the moved image it makes at the end; ours is read linearly, too.
        chosen["ResampleInterpolator"] = ["FinalLinearInterpolator"]
        if kind == "bspline":
            chosen["MaximumNumberOfIterations"] = [_ITERATIONS]
        parameters.AddParameterMap(chosen)
    return parameters


def _last_line(error: RuntimeError) -> str:
    return str(error).strip().splitlines()[-1]
