"""An upright head with a face, and where its parts are."""

import numpy as np

from voltween.spatial import Grid, Image

HEAD = Grid.centered(
    (50, 60, 66),
    center_mm=np.array([3.0, -10.0, 20.0]),
    spacing_mm=(4.0, 4.0, 4.0),
    directions=np.diag([-1.0, -1.0, 1.0]),
)
TOP_MM = HEAD.center_mm + np.array((0, 0, 120))
NOSE_MM = TOP_MM + np.array((0, 95, -125))
EYE_MM = TOP_MM + np.array((32, 76, -115))
CHIN_MM = TOP_MM + np.array((0, 70, -210))
BRAIN_MM = TOP_MM + np.array((20, 30, -60))
CEREBELLUM_MM = TOP_MM + np.array((0, -50, -115))


def head():
    """An upright head: skull with brain, a face before and below it, a neck."""
    places = HEAD.voxel_centers_mm() - TOP_MM

    def ball(center, radii):
        return (((places - center) / radii) ** 2).sum(axis=-1) < 1

    data = 100.0 * ball((0, 0, -85), (75, 95, 85))
    data[ball((0, 55, -150), (55, 45, 80))] = 90.0
    data[ball((0, -20, -200), (55, 55, 60))] = 80.0
    data[ball(NOSE_MM - TOP_MM, 10)] = 200.0
    return Image(data, HEAD)
