"""A training loop written for apex, and what becomes of each of its lines."""

from __future__ import annotations

from typing import NamedTuple


class Line(NamedTuple):
    """One line of the old loop.

    Attributes:
        old: the line, with its indentation.
        new: the line or lines that replace it; empty if it goes.
        why: one or two sentences.
    """

    old: str
    new: str
    why: str

    @property
    def fate(self) -> str:
        """What happens to the line: it stays, changes, or goes."""
        if self.new == self.old:
            return "stays"
        return "changes" if self.new else "goes"


LOOP = (
    Line(
        "from apex import amp",
        "from torch.amp import GradScaler, autocast",
        "amp was removed from apex's main branch in 2025. PyTorch has had the "
        "same two parts for years: autocast chooses the types, GradScaler scales.",
    ),
    Line(
        "from apex.normalization import FusedLayerNorm",
        "from torch.nn import LayerNorm",
        "The same formula with the same eps, 1e-5. PyTorch's kernel is fused as well.",
    ),
    Line(
        "from apex.optimizers import FusedAdam",
        "from torch.optim import AdamW",
        "FusedAdam decouples weight decay by default (adam_w_mode=True): it is AdamW.",
    ),
    Line(
        "model = make_model(FusedLayerNorm).cuda()",
        "model = make_model(LayerNorm).to(device)",
        "The parameters have the same names and shapes, so old weights load. With a "
        "device in a variable, the loop also runs without a GPU.",
    ),
    Line(
        "optimizer = FusedAdam(model.parameters(), lr=0.01)",
        "optimizer = AdamW(model.parameters(), lr=0.01, weight_decay=0.0, fused=True)",
        "fused=True asks for one kernel over all parameters. Write the weight decay: its "
        "default is 0 in FusedAdam and 0.01 in AdamW.",
    ),
    Line(
        'model, optimizer = amp.initialize(model, optimizer, opt_level="O1")',
        "scaler = GradScaler(device)",
        "O1 patched PyTorch's functions for the whole process. Nothing is patched now: "
        "the model and the optimizer stay what they are.",
    ),
    Line("for x, y in loader:", "for x, y in loader:", "Nothing of apex in it."),
    Line("    optimizer.zero_grad()", "    optimizer.zero_grad()", "It stays."),
    Line(
        "    loss = F.cross_entropy(model(x.cuda()), y.cuda())",
        "    with autocast(device, dtype=torch.float16):\n"
        "        loss = F.cross_entropy(model(x.to(device)), y.to(device))",
        "The casts happen inside this block alone. Model and loss belong in it, the "
        "backward pass does not.",
    ),
    Line(
        "    with amp.scale_loss(loss, optimizer) as scaled_loss:",
        "",
        "The block did three things: scale, then on leaving unscale and look for inf. "
        "They are three calls now: scale, unscale_, update.",
    ),
    Line(
        "        scaled_loss.backward()",
        "    scaler.scale(loss).backward()",
        "The gradients stay scaled after this line. With apex they were not: leaving the "
        "block had divided them.",
    ),
    Line(
        "    clip_grad_norm_(amp.master_params(optimizer), 1.0)",
        "    scaler.unscale_(optimizer)\n    clip_grad_norm_(model.parameters(), 1.0)",
        "Divide by the scale first, or you clip gradients that are 65,536 times too "
        "large. Without clipping you need no unscale_: step does it.",
    ),
    Line(
        "    optimizer.step()",
        "    scaler.step(optimizer)\n    scaler.update()",
        "step leaves the weights alone if a gradient is inf or nan; update then halves "
        "the scale. apex replaced optimizer.step to get the same.",
    ),
    Line(
        'torch.save({"model": model.state_dict(), "amp": amp.state_dict()}, path)',
        'torch.save({"model": model.state_dict(), "scaler": scaler.state_dict()}, path)',
        "The scale goes on from where it was. The two states have different keys: an old "
        "one must be translated.",
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
    ``make_model``, ``loader`` and ``path``.

    Example:
        >>> "apex" in new_loop() or "amp." in new_loop().replace("torch.amp", "")
        False
    """
    return "\n".join(line.new for line in LOOP if line.new) + "\n"
