"""The mean of an epoch, of batches that differ in size, without graphs or waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from helpers._arguments import require_positive, require_shape, require_some

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
            TypeError: if ``value`` is neither a real number nor a tensor, or ``weight``
                is not a number.
            ValueError: if ``value`` has not one element, or ``weight`` is not positive
                and finite.
        """
        advice = "Pass len(x), and leave an empty batch out."
        require_positive("RunningMean.update", "weight", weight, advice)
        weight = float(weight)
        if hasattr(value, "detach"):
            self._add_tensor(value, weight)
        else:
            self._sum += float(value) * weight
        self._weight += weight

    def _add_tensor(self, value: torch.Tensor, weight: float) -> None:
        """Add to the sum on the tensor's device, where it must not be looked at."""
        import torch

        caller, advice = "RunningMean.update", "Pass value.mean(), weight=len(value)."
        single = value.numel() == 1
        require_shape(caller, "value", value, single, "of one element", advice)
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
        advice = "Call update first; is the loader empty?"
        require_some("RunningMean.compute", "the mean", self._weight, "value", advice)
        on_devices = sum(part.item() for part in self._sums.values())
        return (self._sum + on_devices) / self._weight
