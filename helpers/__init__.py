"""Helpers of the book *Measured PyTorch*: what a chapter needs and does not teach.

Each submodule loads what it needs when it is first used, so ``import helpers``
costs next to nothing on top of ``import torch``.
"""

__version__ = "0.1.0"


def require_seed(caller: str, seed: object, largest: int) -> None:
    """Raise an error that names the caller, unless a seed is an integer in range."""
    if isinstance(seed, bool) or not hasattr(seed, "__index__"):
        raise TypeError(f"{caller}: seed must be an integer, got {seed!r}. Try seed=0.")
    if not 0 <= seed <= largest:
        raise ValueError(
            f"{caller}: seed must be from 0 to {largest}, got {seed}. Try seed=0."
        )


def start(seed: int = 0) -> None:
    """Make a notebook repeatable: seed PyTorch, set the figure style, shorten warnings.

    Args:
        seed: non-negative integer for :func:`torch.manual_seed`.

    Raises:
        TypeError: if ``seed`` is not an integer.
        ValueError: if ``seed`` is negative.

    Example:
        >>> import torch
        >>> from helpers import start
        >>> start(seed=0)
        >>> round(torch.rand(1).item(), 4)
        0.4963
    """
    require_seed("start", seed, 2**64 - 1)

    import warnings

    import torch

    from helpers import style

    torch.manual_seed(int(seed))
    style.use()
    # The default text begins with the path of a file on the machine that ran it.
    warnings.formatwarning = lambda message, category, *_, **__: (
        f"{category.__name__}: {message}\n"
    )
