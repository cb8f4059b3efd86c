"""The running mean of a network's weights: what is validated and kept, if it is wanted.

A step of few pairs moves the weights by chance. Their mean over many steps does not
follow it, as lower learning rates do not, and keeps the high rate.
"""

from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from voltween.networks import Network


def average_of(network: Network, steps: int) -> AveragedModel | None:
    """Returns the running mean of the weights over about `steps` steps, or None for 1.

    The share of a step falls by 1 - 1/steps with every later one. The mean begins with
    the weights after the first update, and is that of all processes, as their weights
    are equal.
    """
    if steps == 1:
        return None
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(1 - 1 / steps))
