"""Instruments for gradients: what they are, how far apart, and what they are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn


def flat(tensors: Iterable[Tensor]) -> Tensor:
    """Return all numbers of some tensors as one vector.

    Args:
        tensors: of any shapes.

    Returns:
        A new tensor ``(N,)``.

    Example:
        >>> flat([torch.zeros(2, 2), torch.ones(1)])
        tensor([0., 0., 0., 0., 1.])
    """
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def gradient(model: nn.Module) -> Tensor:
    """Return what has been accumulated in ``.grad`` of all parameters, as one vector.

    Args:
        model: each of its parameters must have a ``.grad``.

    Returns:
        A copy ``(N,)``.

    Raises:
        ValueError: if a parameter has none.

    Example:
        >>> model = nn.Linear(2, 1, bias=False)
        >>> model(torch.tensor([[3.0, 4.0]])).sum().backward()
        >>> gradient(model)
        tensor([3., 4.])
    """
    for name, parameter in model.named_parameters():
        if parameter.grad is None:
            raise ValueError(
                f"gradient: model must have gradients, {name} has none. "
                "Call backward() first."
            )
    return flat(parameter.grad for parameter in model.parameters())


def gradient_of(loss: Tensor, model: nn.Module) -> Tensor:
    """Return the gradient of one loss as a vector, and leave ``.grad`` as it is.

    Args:
        loss: a scalar that depends on every parameter of the model.
        model: whose parameters it is differentiated by.

    Returns:
        ``(N,)``, in the order of :func:`gradient`.

    Raises:
        ValueError: if ``loss`` is not one number.

    Example:
        >>> model = nn.Linear(2, 1, bias=False)
        >>> gradient_of(model(torch.tensor([[3.0, 4.0]])).sum(), model)
        tensor([3., 4.])
        >>> model.weight.grad is None
        True
    """
    if loss.numel() != 1:
        raise ValueError(
            f"gradient_of: loss must be one number, got shape {tuple(loss.shape)}. "
            "Take its mean or its sum."
        )
    return flat(torch.autograd.grad(loss, list(model.parameters())))


def difference(found: Tensor, wanted: Tensor) -> str:
    """Return the length of ``found − wanted`` in per cent of the wanted one's.

    Args:
        found: ``(N,)``.
        wanted: ``(N,)``.

    Returns:
        Such as ``"79%"``; ``"< 1e-12"`` if float64's rounding can explain it, and
        ``"< 0.1%"`` if that of shorter types can.

    Raises:
        ValueError: if the shapes differ.

    Example:
        >>> difference(torch.tensor([3.0, 0.0]), torch.tensor([2.0, 0.0]))
        '50%'
        >>> difference(torch.tensor([3.0, 0.0]), torch.tensor([3.001, 0.0]))
        '< 0.1%'
    """
    if found.shape != wanted.shape:
        raise ValueError(
            "difference: found and wanted must have the same shape, got "
            f"{tuple(found.shape)} and {tuple(wanted.shape)}."
        )
    relative = ((found - wanted).norm() / wanted.norm()).item()
    for limit, text in ((1e-12, "< 1e-12"), (1e-3, "< 0.1%"), (1e-2, "< 1%")):
        if relative < limit:
            return text
    return f"{relative:.0%}"


def factors_in(total: Tensor, parts: Sequence[Tensor]) -> Tensor:
    """Find the factors with which parts were added up to a total, by least squares.

    Args:
        total: ``(N,)``.
        parts: K tensors ``(N,)``, none of them a sum of the others; K is N or less.

    Returns:
        The K factors, ``(K,)``.

    Example:
        >>> parts = [torch.tensor([1.0, 0.0, 2.0]), torch.tensor([0.0, 1.0, 1.0])]
        >>> factors_in(3 * parts[0] + 5 * parts[1], parts)
        tensor([3.0000, 5.0000])
    """
    columns = torch.stack(list(parts), dim=1)
    return torch.linalg.lstsq(columns, total.unsqueeze(1)).solution.squeeze(1)
