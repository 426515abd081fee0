"""What the chapter measures with: gradients as vectors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn


def gradient(model: nn.Module) -> Tensor:
    """Return what has been accumulated in ``.grad``, as one vector.

    Frozen parameters are left out; one that no loss has reached yet counts as zeros.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> model.bias.requires_grad = False
        >>> for x in ([1.0, 2.0], [10.0, 20.0]):
        ...     model(torch.tensor([x])).sum().backward()
        >>> gradient(model)
        tensor([11., 22.])
    """
    parameters = _trainable(model)
    return as_vector(
        torch.zeros_like(p) if p.grad is None else p.grad for p in parameters
    )


def loss_gradient(loss: Tensor, model: nn.Module) -> Tensor:
    """Return the gradient of one loss as a vector, and leave ``.grad`` as it is.

    Example:
        >>> model = nn.Linear(2, 1, bias=False)
        >>> loss_gradient(model(torch.tensor([[3.0, 4.0]])).sum(), model)
        tensor([3., 4.])
        >>> model.weight.grad is None
        True
    """
    found = torch.autograd.grad(
        loss, _trainable(model), allow_unused=True, materialize_grads=True
    )
    return as_vector(found)


def _trainable(model: nn.Module) -> list[nn.Parameter]:
    return [p for p in model.parameters() if p.requires_grad]


def as_vector(tensors: Iterable[Tensor]) -> Tensor:
    """Return all numbers of some tensors as one new vector."""
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def how_far_off(found: Tensor, wanted: Tensor) -> str:
    """Return the length of ``found − wanted`` in per cent of the length of ``wanted``.

    It is ``"< 1e-12"`` if float64's rounding can explain it, and ``"< 0.1%"`` if that of
    shorter types can.

    Example:
        >>> how_far_off(torch.tensor([3.0, 0.0]), torch.tensor([2.0, 0.0]))
        '50%'
        >>> how_far_off(torch.tensor([3.0, 0.0]), torch.tensor([3.001, 0.0]))
        '< 0.1%'
    """
    relative = ((found - wanted).norm() / wanted.norm()).item()
    for limit, text in ((1e-12, "< 1e-12"), (1e-3, "< 0.1%"), (1e-2, "< 1%")):
        if relative < limit:
            return text
    # So that 87.5% is 88% on every processor: its last digits differ.
    return f"{relative + 1e-9:.0%}"


def find_factors(total: Tensor, parts: Sequence[Tensor]) -> Tensor:
    """Find the factors with which parts were added up to a total, by least squares.

    Example:
        >>> parts = [torch.tensor([1.0, 0.0, 2.0]), torch.tensor([0.0, 1.0, 1.0])]
        >>> find_factors(3 * parts[0] + 5 * parts[1], parts)
        tensor([3.0000, 5.0000])
    """
    columns = torch.stack(list(parts), dim=1)
    return torch.linalg.lstsq(columns, total.unsqueeze(1)).solution.squeeze(1)


class ClippedSGD(torch.optim.SGD):
    """SGD of networks side by side, the gradient of each clipped to norm 1.

    The first dimension of every parameter counts the networks, as in ``TwentyNetworks``.
    """

    def step(self) -> None:
        own = self.param_groups[0]["params"]
        squares = sum(p.grad.flatten(1).square().sum(1) for p in own)
        excess = squares.sqrt().clamp(min=1)
        for p in own:
            p.grad /= excess.view(-1, *[1] * (p.ndim - 1))
        super().step()
