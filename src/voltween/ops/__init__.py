"""Operations on flows: warp, compose, integrate, Jacobian; sums that losses need.

A flow is a tensor (B, 3, I, J, K) in voxels of its grid, component c along array axis
c, and maps fixed voxels x to moving voxels x + flow(x). Operations compiled from
`src/native` run on CPU tensors, their stock forms of PyTorch on every other device, and
on all devices where the compiled ones are missing.
"""

from voltween.ops.adding import WarpedCorrelation as WarpedCorrelation
from voltween.ops.adding import WarpedFeatures as WarpedFeatures
from voltween.ops.adding import Window as Window
from voltween.ops.adding import add_folding as add_folding
from voltween.ops.adding import add_gradient as add_gradient
from voltween.ops.adding import add_variation as add_variation
from voltween.ops.affine import affine_flow as affine_flow
from voltween.ops.affine import compose_affine as compose_affine
from voltween.ops.arguments import same_precision as same_precision
from voltween.ops.box_sums import sum_boxes as sum_boxes
from voltween.ops.box_sums import sum_centered_boxes as sum_centered_boxes
from voltween.ops.flow_parts import FlowParts as FlowParts
from voltween.ops.histograms import joint_histogram as joint_histogram
from voltween.ops.interleaving import interleave as interleave
from voltween.ops.interleaving import join as join
from voltween.ops.jacobian import folding_fraction as folding_fraction
from voltween.ops.jacobian import jacobian_determinant as jacobian_determinant
from voltween.ops.kernel_choice import decide as decide
from voltween.ops.kernel_choice import instruction_set as instruction_set
from voltween.ops.kernel_choice import instruction_sets as instruction_sets
from voltween.ops.kernel_choice import kernel_choices as kernel_choices
from voltween.ops.kernel_choice import using_instructions as using_instructions
from voltween.ops.local_correlation import (
    local_correlation_sums as local_correlation_sums,
)
from voltween.ops.masking import MaskWeights as MaskWeights
from voltween.ops.moment_sums import moments as moments
from voltween.ops.native import runs_compiled as runs_compiled
from voltween.ops.pairwise_kernels import kernel_sums as kernel_sums
from voltween.ops.positions import valid_domain as valid_domain
from voltween.ops.spreading import gather as gather
from voltween.ops.spreading import spread as spread
from voltween.ops.variation import variation_sums as variation_sums
from voltween.ops.velocity import exponential as exponential
from voltween.ops.velocity import logarithm as logarithm
from voltween.ops.warping import compose as compose
from voltween.ops.warping import warp as warp
from voltween.ops.warping import warp_nearest as warp_nearest
from voltween.ops.weight_gradients import weight_gradient as weight_gradient
from voltween.ops.winograd import WinogradConvolution as WinogradConvolution
from voltween.ops.winograd import winograd_convolution as winograd_convolution
from voltween.ops.winograd import winograd_once as winograd_once
