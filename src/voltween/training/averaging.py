"""The running mean of a network's weights over the last steps of a training.

A step of few pairs moves the weights partly by chance. The mean of many steps averages
this out, as a lower learning rate would.
"""

from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from voltween.networks import Network


def average_of(network: Network, steps: int) -> AveragedModel | None:
    """Returns the running mean of the weights over about `steps` steps, or None for 1.

    It is an exponential mean: the share of a step is multiplied by 1 - 1/steps in every
    later one. It begins with the weights after the first update, and is the same in all
    processes, as their weights are.
    """
    if steps == 1:
        return None
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(1 - 1 / steps))
