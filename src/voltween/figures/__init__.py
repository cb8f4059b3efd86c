"""Drawing tools: anatomical planes, mosaics, figure files.

Sections are drawn in radiological orientation, in mm. Modules that need Matplotlib or
PyVista (`panels`, `rendering`) are imported by their path, where something is drawn.
"""

from voltween.figures.mosaic import add_color_scale as add_color_scale
from voltween.figures.mosaic import paint_mosaic as paint_mosaic
from voltween.figures.mosaic import tweening_picture as tweening_picture
from voltween.figures.notebook import Shown as Shown
from voltween.figures.notebook import notebook_html as notebook_html
from voltween.figures.notebook import notebook_png as notebook_png
from voltween.figures.notebook import show_pair as show_pair
from voltween.figures.painter import BOTH_COLOR as BOTH_COLOR
from voltween.figures.painter import FIXED_COLOR as FIXED_COLOR
from voltween.figures.painter import FIXED_OUTLINE as FIXED_OUTLINE
from voltween.figures.painter import FOLD_COLOR as FOLD_COLOR
from voltween.figures.painter import LARGEST_LOG_JACOBIAN as LARGEST_LOG_JACOBIAN
from voltween.figures.painter import MOST_STRUCTURES as MOST_STRUCTURES
from voltween.figures.painter import MOVED_COLOR as MOVED_COLOR
from voltween.figures.painter import MOVED_OUTLINE as MOVED_OUTLINE
from voltween.figures.painter import Colors as Colors
from voltween.figures.painter import checker as checker
from voltween.figures.painter import draw_outlines as draw_outlines
from voltween.figures.painter import find_outlines as find_outlines
from voltween.figures.painter import gray as gray
from voltween.figures.painter import largest_structures as largest_structures
from voltween.figures.painter import mask_colors as mask_colors
from voltween.figures.painter import name_sides as name_sides
from voltween.figures.painter import overlap_colors as overlap_colors
from voltween.figures.painter import paint_panel as paint_panel
from voltween.figures.painter import rgb as rgb
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
from voltween.figures.views import View as View
from voltween.figures.views import plane_view as plane_view
from voltween.figures.views import square_views as square_views
from voltween.figures.views import structure_view as structure_view
from voltween.figures.views import whole_views as whole_views
from voltween.figures.windowing import Window as Window
