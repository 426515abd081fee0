"""Twenty small networks trained at once, so that a result is not one start's luck."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STARTS = 20


class TwentyNetworks(nn.Module):
    """Twenty networks for digits, side by side: each has a start of its own.

    They share no weight, so each learns as it would alone. Its input is ``(N, 64)``, its
    output ``(20, N, 10)``.
    """

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        for name, inputs, outputs in (("first", 64, 32), ("second", 32, 10)):
            layers = [nn.Linear(inputs, outputs).to(dtype) for _ in range(STARTS)]
            weight = torch.stack([layer.weight.detach().T for layer in layers])
            bias = torch.stack([layer.bias.detach()[None] for layer in layers])
            self.register_parameter(f"{name}_weight", nn.Parameter(weight))
            self.register_parameter(f"{name}_bias", nn.Parameter(bias))

    def forward(self, x: Tensor) -> Tensor:
        x = x.expand(STARTS, *x.shape)
        # One operation for product and bias, so that autocast runs it as a linear layer.
        hidden = torch.baddbmm(self.first_bias, x, self.first_weight).relu()
        return torch.baddbmm(self.second_bias, hidden, self.second_weight)


def mean_losses(networks: TwentyNetworks, x: Tensor, y: Tensor) -> Tensor:
    """Return the mean cross-entropy of each network, ``(20,)``."""
    logits = networks(x)
    each = F.cross_entropy(logits.flatten(0, 1), y.repeat(STARTS), reduction="none")
    return each.view(STARTS, -1).mean(dim=1)


@torch.no_grad()
def accuracies(networks: TwentyNetworks, x: Tensor, y: Tensor) -> Tensor:
    """Return the share of digits that each network recognises, in per cent ``(20,)``."""
    return 100 * (networks(x).argmax(dim=2) == y).double().mean(dim=1)
