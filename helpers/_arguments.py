"""A bad argument becomes a sentence: who was called, what it got, and what to do."""

from __future__ import annotations


def require_seed(caller: str, seed: object, largest: int) -> None:
    """Raise an error that names the caller, unless a seed is an integer in range."""
    if isinstance(seed, bool) or not hasattr(seed, "__index__"):
        raise TypeError(f"{caller}: seed must be an integer, got {seed!r}. Try seed=0.")
    if not 0 <= seed <= largest:
        raise ValueError(
            f"{caller}: seed must be from 0 to {largest}, got {seed}. Try seed=0."
        )
