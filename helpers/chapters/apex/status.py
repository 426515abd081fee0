"""Which package does an import of apex find on this machine?"""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from typing import NamedTuple

# What NVIDIA's package has had since 2018, and no other package of that name.
NVIDIA_PARTS = {"optimizers", "normalization", "multi_tensor_apply"}

REMOVE = "Run `pip uninstall apex`, or rename {place} if pip does not know it"
KINDS = {  # what was found, and what to do
    "absent": (
        "no package of this name is installed.",
        "Port the loop to PyTorch. Do not `pip install apex`: that is another package.",
    ),
    "unrelated": (
        "the apex found here is not NVIDIA's.",
        f"{REMOVE}. Then port the loop to PyTorch.",
    ),
    "folder": (
        "a folder named apex is found, without a package in it: a clone, perhaps.",
        "Port the loop to PyTorch. To move the folder is not enough: no apex is installed.",
    ),
    "broken": (
        "it is NVIDIA's, and it or one of its extensions fails when it is imported.",
        f"{REMOVE}. Then port the loop to PyTorch.",
    ),
    "without amp": (
        "NVIDIA's, without amp, DDP and RNN, which were removed in 2025.",
        "Use torch.amp and torch.nn.parallel; keep apex for its fused kernels only.",
    ),
    "with amp": (
        "NVIDIA's, from before 2025's removal: apex.amp is there, and deprecated.",
        "The old loop may run. Port it before you next update PyTorch or apex.",
    ),
}

# apex hides it if one of these extensions was built for another PyTorch.
IMPORT = """
import sys
sys.path[:0] = sys.argv[1:]
import importlib, importlib.util, apex
for name in ("amp_C", "fused_layer_norm_cuda"):
    if importlib.util.find_spec(name):
        importlib.import_module(name)
"""


class ApexStatus(NamedTuple):
    """What :func:`apex_status` found; ``str`` of it is for people.

    Attributes:
        kind: a key of ``KINDS``, such as ``"absent"``.
        version: what the installed distribution says, or None.
        place: the package's folder or file, or None.
        error: how its import fails, or None.
    """

    kind: str
    version: str | None = None
    place: str | None = None
    error: str | None = None

    def __str__(self) -> str:
        found, advice = KINDS[self.kind]
        lines = [f"apex {self.version or ''}".rstrip() + f": {found}"]
        if self.error:
            lines.append(f"Error: {self.error}")
        lines.append(f"Do: {advice.format(place=self.place)}")
        # A path stays in one piece, so that it can be copied.
        whole = {"break_long_words": False, "break_on_hyphens": False}
        return "\n".join(textwrap.fill(line, 72, **whole) for line in lines)


def apex_status(path: Sequence[str] | None = None) -> ApexStatus:
    """Tell which package an import of apex finds, without importing it here.

    NVIDIA's is imported once in another process, since an extension that was built for
    another PyTorch shows its fault only then.

    Args:
        path: the folders to search; ``sys.path`` if it is left out.

    Returns:
        An :class:`ApexStatus`.

    Example:
        >>> apex_status([]).kind
        'absent'
    """
    path = sys.path if path is None else path
    spec = PathFinder.find_spec("apex", path)
    if spec is None:
        return ApexStatus("absent")
    if spec.origin is None:  # a folder without an __init__.py
        return ApexStatus("folder")
    installed = importlib.metadata.distributions(name="apex", path=path)
    version = next((package.version for package in installed), None)
    place, *_ = spec.submodule_search_locations or [spec.origin]
    parts = {file.stem for file in Path(place).glob("*")}
    error = None
    if not parts & NVIDIA_PARTS:
        kind = "unrelated"
    elif error := _import_error(path):
        kind = "broken"
    else:
        kind = "with amp" if "amp" in parts else "without amp"
    return ApexStatus(kind, version, place, error)


def _import_error(path: Sequence[str]) -> str | None:
    """Import apex in another process; return how that fails, or None."""
    command = [sys.executable, "-c", IMPORT, *path]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        return "the import took more than two minutes"
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"Python ended with status {done.returncode}"
