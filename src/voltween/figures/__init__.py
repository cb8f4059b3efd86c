"""Drawing tools: anatomical planes, mosaics, figure files.

Sections are drawn in radiological orientation, in mm. Modules that need Matplotlib or
PyVista (`panels`, `rendering`) are imported by their path, where something is drawn.
"""

from voltween.figures.mosaic import Colors as Colors
from voltween.figures.mosaic import add_color_scale as add_color_scale
from voltween.figures.mosaic import gray as gray
from voltween.figures.mosaic import name_sides as name_sides
from voltween.figures.mosaic import paint_mosaic as paint_mosaic
from voltween.figures.mosaic import sections as sections
from voltween.figures.mosaic import tweening_picture as tweening_picture
from voltween.figures.outlines import draw_outlines as draw_outlines
from voltween.figures.outlines import label_sections as label_sections
from voltween.figures.outlines import largest_structures as largest_structures
from voltween.figures.planes import LONGEST_SIDE_VOXELS as LONGEST_SIDE_VOXELS
from voltween.figures.planes import PLANES as PLANES
from voltween.figures.planes import Plane as Plane
from voltween.figures.planes import Section as Section
from voltween.figures.planes import display_grid as display_grid
from voltween.figures.rendering import STRUCTURE_COLORS as STRUCTURE_COLORS
from voltween.figures.rendering import Pixels as Pixels
from voltween.figures.rendering import Scene as Scene
from voltween.figures.rendering import import_pyvista as import_pyvista
from voltween.figures.rendering import render_lines as render_lines
from voltween.figures.rendering import render_scan as render_scan
from voltween.figures.rendering import render_volume as render_volume
from voltween.figures.thumbnail import write_thumbnail as write_thumbnail
