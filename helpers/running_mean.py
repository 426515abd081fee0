"""The mean of an epoch, of batches that differ in size, without graphs or waiting."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from helpers._arguments import require, require_positive, require_shape, require_some

if TYPE_CHECKING:
    import torch


class RunningMean:
    """A weighted mean that grows with each batch, for a progress bar and a report.

    A tensor is detached and added up on its own device, so no graph is kept and nothing
    waits for a GPU until :meth:`compute` or :attr:`weight` is asked for. nan and inf are
    not filtered: a loss that is nan makes the mean nan, which is news.

    Example:
        >>> loss = RunningMean()
        >>> loss.update(2.0, weight=64)
        >>> loss.update(8.0, weight=2)
        >>> round(loss.compute(), 3), loss.weight
        (2.182, 66.0)

    Source: the definition of a weighted mean, sum(w * x) / sum(w).
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything, as at the start of an epoch."""
        self._sum, self._weight = _Sum(), _Sum()

    @property
    def weight(self) -> float:
        """The sum of all weights so far: the number of samples, usually."""
        return self._weight.total()

    def update(
        self, value: float | torch.Tensor, weight: float | torch.Tensor = 1
    ) -> None:
        """Add one value, such as a batch's mean loss.

        Args:
            value: a number, or a tensor of one element: any real dtype, any device,
                with or without a gradient.
            weight: how much it counts, more than 0: what the mean was divided by, the
                size of the batch or the number of its tokens. It may be a tensor of one
                element, such as ``mask.sum()``; 0 there leaves the value out.

        Raises:
            TypeError: if ``value`` is neither a real number nor a tensor, or ``weight``
                is neither.
            ValueError: if ``value`` or ``weight`` has not one element, or a number as
                ``weight`` is not positive and finite.
        """
        if hasattr(weight, "detach"):
            weight = _usable(_scalar("weight", weight, "Pass weight.sum()."))
        else:
            advice = "Pass len(x), and leave an empty batch out."
            require_positive("RunningMean.update", "weight", weight, advice)
            weight = float(weight)
        if hasattr(value, "detach"):
            advice = "Pass value.mean(), weight=value.numel()."
            value = _scalar("value", value, advice)
        else:
            value = float(value)
        self._sum.add(_product(value, weight))
        self._weight.add(weight)

    def compute(self) -> float:
        """Return the mean so far as a float; this is where a GPU is waited for.

        Raises:
            ValueError: if nothing was added yet, or a tensor among the weights was
                negative, inf or nan.
        """
        weight, caller = self.weight, "RunningMean.compute"
        advice = "Call update first; is the loader empty, or every weight 0?"
        require_some(caller, "the mean", weight, "value", advice)
        must = "the weights must be 0 or more and finite"
        advice = "Look at the tensors passed as weight."
        require(math.isfinite(weight), ValueError, caller, must, "another", advice)
        return self._sum.total() / weight


class _Sum:
    """A sum of numbers and of tensors, which are not looked at before the end."""

    def __init__(self) -> None:
        self._numbers = 0.0
        self._tensors: dict[torch.device, torch.Tensor] = {}

    def add(self, term: float | torch.Tensor) -> None:
        if isinstance(term, float):
            self._numbers += term
        else:
            self._tensors[term.device] = self._tensors.get(term.device, 0) + term

    def total(self) -> float:
        return self._numbers + sum(part.item() for part in self._tensors.values())


def _scalar(name: str, tensor: torch.Tensor, advice: str) -> torch.Tensor:
    """Return a tensor of one element without its graph, as precise as its device can."""
    import torch

    single = tensor.numel() == 1
    require_shape("RunningMean.update", name, tensor, single, "of one element", advice)
    # Apple's GPUs have no float64.
    dtype = torch.float32 if tensor.device.type == "mps" else torch.float64
    with torch.no_grad():
        return tensor.detach().reshape(()).to(dtype)


def _usable(weight: torch.Tensor) -> torch.Tensor:
    """Return a weight, or nan for one that is none: an error now would have to wait."""
    import torch

    return torch.where((weight >= 0) & weight.isfinite(), weight, math.nan)


def _product(
    value: float | torch.Tensor, weight: float | torch.Tensor
) -> float | torch.Tensor:
    """Return weight times value, and 0 without weight, even if the value is nan."""
    where = [x.device.type for x in (weight, value) if hasattr(x, "device")]
    if len(where) == 2 and where[0] == "cpu" != where[1]:
        weight = weight.item()  # it is there to be read; sent to a GPU, it would wait
    if isinstance(weight, float):
        return value * weight if weight else 0.0
    import torch

    return torch.where(weight == 0, 0.0, value * weight)
