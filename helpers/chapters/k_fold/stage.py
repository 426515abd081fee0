"""Made-up data with a known best accuracy, so that a wrong measurement shows."""

from __future__ import annotations

from typing import NamedTuple

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


class Tokens(NamedTuple):
    """A tokenised data set, all int64.

    Attributes:
        input_ids: ``(N, T)``; 0 is padding.
        attention_mask: ``(N, T)``; 1 where there is a token.
        token_type_ids: ``(N, T)``; 1 in the second sentence.
        y: ``(N,)``, 0 or 1.
    """

    input_ids: Tensor
    attention_mask: Tensor
    token_type_ids: Tensor
    y: Tensor


def sentence_pairs(seed: int, texts: int = 300) -> Tokens:
    """Return pairs of sentences as token ids; the label says which one holds token 3.

    Args:
        seed: of the random numbers.
        texts: how many pairs.

    Returns:
        :class:`Tokens` of 16 positions: 1, three to six words, 2, as many again, 2.

    Example:
        >>> tokens = sentence_pairs(seed=0)
        >>> tokens.input_ids.shape, int(tokens.attention_mask.sum(dim=1).max())
        (torch.Size([300, 16]), 15)
    """
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 2, (texts,), generator=generator)
    first, second = torch.randint(3, 7, (2, texts, 1), generator=generator)
    at = torch.arange(16).expand(texts, 16)
    mask = (at < first + second + 3).long()
    types = ((at > first + 1) & (mask == 1)).long()
    ids = torch.randint(4, 50, (texts, 16), generator=generator) * mask
    ids[at == 0] = 1
    ids[(at == first + 1) | (at == first + second + 2)] = 2
    place = torch.where(y == 1, first[:, 0] + 2, torch.ones_like(y))
    ids[torch.arange(texts), place] = 3
    return Tokens(ids, mask, types, y)
