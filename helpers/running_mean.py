"""The mean of an epoch, of batches that differ in size, without graphs or waiting."""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class RunningMean:
    """A weighted mean that grows with each batch, for a progress bar and a report.

    A tensor is detached and added up on its own device, so no graph is kept and nothing
    waits for a GPU until :meth:`compute` is called. nan and inf are not filtered: a loss
    that is nan makes the mean nan, which is news.

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
        self._weight = 0.0
        self._sum = 0.0  # of Python numbers
        self._sums: dict[torch.device, torch.Tensor] = {}  # of tensors, by device

    @property
    def weight(self) -> float:
        """The sum of all weights so far: the number of samples, usually."""
        return self._weight

    def update(self, value: float | torch.Tensor, weight: float = 1) -> None:
        """Add one value, such as a batch's mean loss.

        Args:
            value: a number, or a tensor of one element: any real dtype, any device,
                with or without a gradient.
            weight: how much it counts, more than 0; for a batch's mean, its size.

        Raises:
            TypeError: if ``value`` is no real number or tensor, or ``weight`` no number.
            ValueError: if ``value`` has not one element, or ``weight`` is not positive
                and finite.
        """
        weight = _checked_weight(weight)
        if hasattr(value, "detach"):
            self._add_tensor(value, weight)
        elif isinstance(value, Real):
            self._sum += float(value) * weight
        else:
            raise TypeError(
                "RunningMean.update: value must be a number or a tensor of one element, "
                f"got {type(value).__name__}. Pass a batch's mean, such as loss."
            )
        self._weight += weight

    def _add_tensor(self, value: torch.Tensor, weight: float) -> None:
        """Add to the sum on the tensor's device, where it must not be looked at."""
        import torch

        if value.numel() != 1:
            raise ValueError(
                "RunningMean.update: value must have one element, got shape "
                f"{tuple(value.shape)}. Pass value.mean(), and weight=len(value)."
            )
        if value.is_complex():
            raise TypeError(
                f"RunningMean.update: value must be real, got {value.dtype}. "
                "Pass value.abs() or value.real."
            )
        # Apple's GPUs have no float64.
        dtype = torch.float32 if value.device.type == "mps" else torch.float64
        with torch.no_grad():
            term = value.detach().reshape(()).to(dtype) * weight
            self._sums[value.device] = self._sums.get(value.device, 0) + term

    def compute(self) -> float:
        """Return the mean so far as a float; this is where a GPU is waited for.

        Raises:
            ValueError: if nothing was added yet.
        """
        if not self._weight:
            raise ValueError(
                "RunningMean.compute: the mean of nothing, got no value yet. "
                "Call update first; is the loader empty?"
            )
        return (
            self._sum + sum(part.item() for part in self._sums.values())
        ) / self._weight


def _checked_weight(weight: object) -> float:
    """Return the weight as a float, or say why it is none."""
    if hasattr(weight, "detach"):
        raise TypeError(
            "RunningMean.update: weight must be a number, got a tensor, which would have "
            "to be read at once. Pass len(x)."
        )
    if isinstance(weight, bool) or not isinstance(weight, Real):
        raise TypeError(
            f"RunningMean.update: weight must be a number, got {weight!r}. Pass len(x)."
        )
    if not (weight > 0 and math.isfinite(weight)):
        raise ValueError(
            f"RunningMean.update: weight must be more than 0 and finite, got {weight}. "
            "Leave an empty batch out."
        )
    return float(weight)
