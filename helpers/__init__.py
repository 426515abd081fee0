"""Helpers of the book *Measured PyTorch*: what a chapter needs and does not teach.

Each submodule loads what it needs when it is first used, so ``import helpers``
costs next to nothing on top of ``import torch``.
"""

__version__ = "0.1.0"


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
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise TypeError(f"start: seed must be an integer, got {seed!r}. Try seed=0.")
    if seed < 0:
        raise ValueError(f"start: seed must be 0 or more, got {seed}. Try seed=0.")

    import warnings

    import torch

    from helpers import style

    torch.manual_seed(seed)
    style.use()
    # The default text begins with the path of a file on the machine that ran it.
    warnings.formatwarning = lambda message, category, *_, **__: (
        f"{category.__name__}: {message}\n"
    )
