"""Operations on flows: warp, compose, integrate, Jacobian.

A flow is a tensor (B, 3, I, J, K) in voxels of its grid, component c along array axis
c, and maps fixed voxels x to moving voxels x + flow(x). On a CPU the compiled
operations run, elsewhere the same operations in PyTorch (`stock`).
"""

from voltween.ops.box_sums import sum_boxes as sum_boxes
from voltween.ops.box_sums import sum_centered_boxes as sum_centered_boxes
from voltween.ops.flow_parts import FlowParts as FlowParts
from voltween.ops.interleaving import interleave as interleave
from voltween.ops.interleaving import join as join
from voltween.ops.jacobian import folding_fraction as folding_fraction
from voltween.ops.jacobian import jacobian_determinant as jacobian_determinant
from voltween.ops.native import instruction_set as instruction_set
from voltween.ops.native import same_precision as same_precision
from voltween.ops.reductions import kernel_sums as kernel_sums
from voltween.ops.reductions import local_correlation_sums as local_correlation_sums
from voltween.ops.reductions import moments as moments
from voltween.ops.reductions import variation_sums as variation_sums
from voltween.ops.velocity import exponential as exponential
from voltween.ops.velocity import logarithm as logarithm
from voltween.ops.warping import affine_flow as affine_flow
from voltween.ops.warping import compose as compose
from voltween.ops.warping import compose_affine as compose_affine
from voltween.ops.warping import warp as warp
from voltween.ops.warping import warp_nearest as warp_nearest
