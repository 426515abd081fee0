"""Made-up data with a known best accuracy, so that a wrong measurement shows."""

from __future__ import annotations

import torch
from torch import Tensor


def coin_flips(seed: int, samples: int = 300) -> tuple[Tensor, Tensor]:
    """Return random features, and labels by coin flip: the best accuracy is one half.

    Args:
        seed: of the random numbers.
        samples: how many, 1 or more.

    Returns:
        Features float64 ``(N, 20)``, normally distributed, and labels int64 ``(N,)``.

    Example:
        >>> x, y = coin_flips(seed=0)
        >>> x.shape, sorted(set(y.tolist()))
        (torch.Size([300, 20]), [0, 1])
    """
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(samples, 20, generator=generator, dtype=torch.float64)
    return x, torch.randint(0, 2, (samples,), generator=generator)


def people(seed: int, count: int = 30, samples: int = 10) -> tuple[Tensor, ...]:
    """Return samples of people, each with their own voice and a label by coin flip.

    The voice does not depend on the label, so on new people the best accuracy is one
    half. A model that has learned whose voice it is scores 100% on the same people.

    Args:
        seed: of the random numbers.
        count: how many people.
        samples: how many each person gives.

    Returns:
        Features float64 ``(N, 20)``, labels int64 ``(N,)``, people int64 ``(N,)``.

    Example:
        >>> x, y, who = people(seed=0)
        >>> x.shape, len(who.unique())
        (torch.Size([300, 20]), 30)
    """
    generator = torch.Generator().manual_seed(seed)
    voices = torch.randn(count, 20, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 2, (count,), generator=generator)
    who = torch.arange(count).repeat_interleave(samples)
    noise = torch.randn(len(who), 20, generator=generator, dtype=torch.float64)
    return voices[who] + noise / 2, labels[who], who
