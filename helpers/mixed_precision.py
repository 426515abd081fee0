"""What 16 bits do to numbers, and which type autocast picks, without a GPU."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from helpers._arguments import (
    require,
    require_choice,
    require_each,
    require_floating_type,
    require_positive,
    require_tensor,
)
from helpers._torch_internals import tensors_without_data

DEVICES = ("cpu", "cuda")
AUTOCAST = (torch.float16, torch.bfloat16, torch.float32)
# What PyTorch says of a tensor with data, and of a module without that is moved.
REAL_OR_MOVED = ("convert all Tensors to FakeTensors", "_apply(): Couldn't swap")
# What an older PyTorch says of a model's weights on "cuda", or of a move to it.
NO_GPU = ("driver", "Cannot access accelerator device")
TOO_OLD = (
    'dry_autocast: device "cuda" must be there, with this PyTorch, for models and for '
    f"what is moved, got PyTorch {torch.__version__} and no GPU. Take PyTorch 2.15, or "
    'device="cpu", or only tensors made by torch.empty(..., device="cuda").'
)
MAKE_INSIDE = (
    "dry_autocast: models and tensors must be made inside the with block, and on their "
    "device from the start: got one from outside, or one moved by .to() or .cuda(). "
    'Write nn.Linear(3, 4, device="cuda"), or make them under torch.device("cuda").'
)


class _Four(NamedTuple):
    zero: int
    subnormal: int
    normal: int
    inf: int


class Bands(_Four):
    """How many numbers end up where, in a type with fewer bits.

    Attributes:
        zero: were not zero, and are rounded to it.
        subnormal: below the smallest normal number, with fewer digits.
        normal: with all the digits that the type has.
        inf: too large for the type.
        already_zero: came in as zero. It is not one of the four that are iterated over
            and compared, and is printed if there is one.
    """

    already_zero: int = 0

    def __repr__(self) -> str:
        zeros = f", already_zero={self.already_zero}" if self.already_zero else ""
        return f"{super().__repr__()[:-1]}{zeros})"


def bands(
    values: Tensor, dtype: torch.dtype = torch.float16, scale: float = 1.0
) -> Bands:
    """Count which numbers, times a scale, a type of fewer bits can hold.

    Give it the gradients of your model's output in float32 (``retain_grad()`` before
    ``backward()``): they come first, and what is 0 there reaches no weight. The weights'
    own gradients are sums over the batch, and would show too little. No type loses a
    zero, so zeros are counted apart; if all are zero, they were lost before.

    Args:
        values: floating-point numbers of any shape.
        dtype: a floating-point type, such as ``torch.float16``, ``torch.bfloat16`` or
            ``torch.float8_e5m2``. A number counts as too large if it rounds to more than
            the largest one. ``torch.float8_e4m3fn`` has no inf: such a number becomes
            nan, or, in newer versions of PyTorch, the largest number, 448.
        scale: a positive factor, as a ``GradScaler`` applies it to the loss.

    Returns:
        :class:`Bands`.

    Raises:
        TypeError: if ``values`` is not a floating-point tensor, ``dtype`` not such a type
            or one that packs two numbers into a byte, or ``scale`` not a number.
        ValueError: if a value is inf or nan, or ``scale`` is not positive and finite.

    Example:
        >>> gradients = torch.tensor([0.0, 1e-8, -1e-6, 0.1])
        >>> bands(gradients)
        Bands(zero=1, subnormal=1, normal=1, inf=0, already_zero=1)
        >>> bands(gradients, scale=2.0**16)
        Bands(zero=0, subnormal=0, normal=3, inf=0, already_zero=1)

    Source:
        Micikevicius et al. (2018), Mixed Precision Training,
        https://arxiv.org/abs/1710.03740, figure 3.
    """
    require_tensor("bands", "values", values, _way_to_numbers(values), floating=True)
    require_floating_type("bands", dtype)
    whole, must = "float4" not in str(dtype), "dtype must hold one number in a byte"
    require(whole, TypeError, "bands", must, dtype, "Try torch.float8_e5m2.")
    require_positive("bands", "scale", scale, "Try scale=1.0.")
    # A sparse gradient has no comparison with 0, and float8 has none at all.
    exact = values.detach().to_dense().double()
    advice = "They overflowed before; record them in float32, without a scaler."
    require_each("bands", "values", exact, exact.isfinite(), "finite", advice)
    exact = exact[exact != 0].abs() * scale
    size, limits = exact.to(dtype).double(), torch.finfo(dtype)
    # Half a step above the largest number, a type without inf may stop at that number.
    half_a_step = 2.0 ** math.floor(math.log2(limits.max)) * _step_above_one(dtype) / 2
    too_large = ~size.isfinite() | (exact > limits.max + half_a_step)
    counts = (
        size == 0,
        (size > 0) & (size < limits.smallest_normal),
        (size >= limits.smallest_normal) & ~too_large,
        too_large,
    )
    found = Bands(*(int(count.sum()) for count in counts))
    found.already_zero = values.numel() - exact.numel()
    return found


def _step_above_one(dtype: torch.dtype) -> float:
    """Return ``torch.finfo(dtype).eps``, which PyTorch 2.6 has wrong for one float8."""
    above = 1 + 2.0 ** -torch.arange(53, dtype=torch.float64)
    above = above.to(dtype).double()
    return float(above[above > 1].min()) - 1


def _way_to_numbers(values: object) -> str:
    """Say how what is not a floating-point tensor becomes one."""
    if isinstance(values, Tensor):
        return f"Pass values.{'abs' if values.is_complex() else 'float'}()."
    if values is None:
        return "Call logits.retain_grad() before backward(), and pass logits.grad."
    return ""  # what require_tensor says by itself


@contextmanager
def dry_autocast(device: str, dtype: torch.dtype) -> Iterator[None]:
    """Let autocast decide for a device that need not be there, on tensors without data.

    Inside, ``torch.empty(..., device="cuda")`` works on every machine. Its shape, type
    and device are real, and PyTorch's own rules pick the type of every operation; but
    no kernel runs. So it shows types and shapes, and raises what autocast refuses. Make
    models and tensors inside, on their device from the start. Without a GPU, PyTorch up
    to 2.9 takes no model on "cuda"; take the CPU's rules there.

    Args:
        device: ``"cpu"`` or ``"cuda"``.
        dtype: ``torch.float16`` or ``torch.bfloat16``; ``torch.float32`` for no autocast.

    Raises:
        ValueError: for another device or type.
        RuntimeError: if a tensor or a model from outside is used, or a model is moved.

    Example:
        >>> with dry_autocast("cuda", torch.float16):
        ...     logits = torch.nn.Linear(3, 4, device="cuda")(torch.empty(2, 3).cuda())
        ...     logits.dtype, logits.softmax(dim=1).dtype
        (torch.float16, torch.float32)
    """
    require_choice("dry_autocast", "device", device, DEVICES)
    require_choice("dry_autocast", "dtype", dtype, AUTOCAST)
    before = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
    # torch.autocast("cuda") would switch itself off where there is no GPU.
    torch.set_autocast_enabled(device, dtype != torch.float32)
    torch.set_autocast_dtype(device, dtype)
    try:
        with tensors_without_data():
            yield
    except (AssertionError, RuntimeError) as error:
        if any(sign in str(error) for sign in REAL_OR_MOVED):
            raise RuntimeError(MAKE_INSIDE) from error
        if not torch.cuda.is_available() and any(s in str(error) for s in NO_GPU):
            raise RuntimeError(TOO_OLD) from error
        raise
    finally:
        torch.set_autocast_enabled(device, before[0])
        torch.set_autocast_dtype(device, before[1])
        torch.clear_autocast_cache()  # it may hold casts of weights without data
