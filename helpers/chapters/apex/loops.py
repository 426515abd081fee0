"""A training loop written for apex, and what becomes of each of its lines."""

from __future__ import annotations

from typing import NamedTuple


class Line(NamedTuple):
    """One line of the old loop.

    Attributes:
        old: the line, with its indentation.
        new: the line or lines that replace it; empty if it goes.
        why: one sentence or two.
    """

    old: str
    new: str
    why: str


LOOP = (
    Line(
        "from apex import amp",
        "import torch",
        "PyTorch has both parts: torch.autocast chooses the types, torch.amp.GradScaler "
        "scales.",
    ),
    Line(
        "from apex.optimizers import FusedAdam",
        "from torch.optim import AdamW",
        "FusedAdam decouples the weight decay by default: it is AdamW.",
    ),
    Line(
        "opt = FusedAdam(model.parameters(), lr=0.01)",
        "opt = AdamW(model.parameters(), lr=0.01, weight_decay=0.0, fused=True)",
        "The default weight decay is 0 in FusedAdam, and 0.01 in AdamW.",
    ),
    Line(
        'model, opt = amp.initialize(model, opt, opt_level="O1")',
        "scaler = torch.amp.GradScaler(device)",
        "Nothing is patched now: model and optimizer stay what they are.",
    ),
    Line("for x, y in loader:", "for x, y in loader:", "A line to tick: it stays."),
    Line("    opt.zero_grad()", "    opt.zero_grad()", "A line to tick: it stays."),
    Line(
        "    loss = F.cross_entropy(model(x), y)",
        "    with torch.autocast(device, dtype=torch.float16):\n"
        "        loss = F.cross_entropy(model(x), y)",
        "The casts happen inside this block alone. Model and loss belong in it.",
    ),
    Line(
        "    with amp.scale_loss(loss, opt) as scaled:",
        "",
        "Leaving this block divided the gradients by the scale, adapted the scale, and "
        "after an overflow made opt.step leave out its step. Now step divides, or "
        "unscale_ before it, and leaves out; update adapts.",
    ),
    Line(
        "        scaled.backward()",
        "    scaler.scale(loss).backward()",
        "After this line the gradients are still scaled.",
    ),
    Line(
        "    clip_grad_norm_(amp.master_params(opt), 1.0)",
        "    scaler.unscale_(opt)\n    clip_grad_norm_(model.parameters(), 1.0)",
        "Divide first, or you clip gradients that are still scaled. "
        "A loop that does not clip needs no unscale_: step does it.",
    ),
    Line(
        "    opt.step()",
        "    scaler.step(opt)\n    scaler.update()",
        "step leaves out a step whose gradients are inf or nan; update adapts the scale.",
    ),
    Line(
        "state = amp.state_dict()",
        "state = scaler.state_dict()",
        "The two states have different keys: an old one must be translated.",
    ),
)


def old_loop() -> str:
    """Return the loop for apex as one text.

    Example:
        >>> old_loop().splitlines()[0]
        'from apex import amp'
    """
    return "\n".join(line.old for line in LOOP) + "\n"


def new_loop() -> str:
    """Return the loop for PyTorch as one text.

    It needs ``torch``, ``F`` (``torch.nn.functional``), ``clip_grad_norm_``, ``device``,
    ``model`` and ``loader``.

    Example:
        >>> "apex" in new_loop()
        False
    """
    return "\n".join(line.new for line in LOOP if line.new) + "\n"
