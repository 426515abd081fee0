"""Is the apex on this machine NVIDIA's, which one is it, and could it be built here?"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from pathlib import Path

# What NVIDIA's package has had since 2018, and no other package of that name.
OURS = ("optimizers", "normalization", "multi_tensor_apply")

KINDS = {
    "absent": (
        "no package of this name is installed.",
        "Port the loop to PyTorch. Do not `pip install apex`: that is another package.",
    ),
    "unrelated": (
        "the apex found here is not NVIDIA's.",
        "{remove}, then port the loop to PyTorch.",
    ),
    "folder": (
        "a folder named apex is found, without a package in it: a clone, perhaps.",
        "Port the loop to PyTorch. To move the folder is not enough: no apex is installed.",
    ),
    "broken": (
        "it is there, and it or one of its extensions fails when it is imported.",
        "{remove}, then port the loop to PyTorch.",
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

# What apex's own import catches or puts off: whether these can be loaded.
EXTENSIONS = ("amp_C", "fused_layer_norm_cuda")

CUDA = {
    "no CUDA": "this PyTorch is built without CUDA, so the extensions cannot be built.",
    "no compiler": (
        "no compiler. PyTorch brings none; install nvcc {torch}. The build would stop:\n"
        "'--cuda_ext was requested, but nvcc was not found.'"
    ),
    "match": "nvcc {nvcc} matches PyTorch's CUDA {torch}.",
    "mismatch": (
        "nvcc {nvcc}, but PyTorch's CUDA is {torch}; install nvcc {torch}. The build "
        "would stop:\n'Cuda extensions are being compiled with a version of Cuda that "
        "does not match the version used to compile Pytorch binaries.'"
    ),
}


def import_error() -> str | None:
    """Import apex, and extensions that are there, elsewhere; return a failure or None."""
    program = (
        "import importlib, importlib.util, torch, apex\n"
        f"for name in {EXTENSIONS}:\n"
        "    if importlib.util.find_spec(name):\n"
        "        importlib.import_module(name)"
    )
    command = [sys.executable, "-c", program]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        return "the import took more than two minutes"
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"Python ended with status {done.returncode}"


def nvcc_version() -> str | None:
    """Return the version of the CUDA compiler that a build would use, such as "12.8"."""
    homes = [os.environ.get(name) for name in ("CUDA_HOME", "CUDA_PATH")]
    places = [str(Path(home) / "bin" / "nvcc") for home in homes if home]
    for place in [*places, "nvcc", "/usr/local/cuda/bin/nvcc"]:
        if shutil.which(place):
            text = subprocess.run([place, "--version"], capture_output=True, text=True)
            found = re.search(r"release (\d+\.\d+)", text.stdout)
            return found[1] if found else None
    return None


def torch_cuda() -> str | None:
    """Return the CUDA version that the installed PyTorch is built with, or None."""
    import torch

    return torch.version.cuda


@dataclass(frozen=True)
class Probes:
    """What :func:`apex_status` asks the machine; tests and the book put in their own.

    Attributes:
        find_spec: takes a module's name, returns its spec or None, imports nothing.
        version: takes a distribution's name, returns its version.
        import_error: imports apex elsewhere, returns how that failed, or None.
        nvcc: returns the CUDA compiler's version, or None.
        torch_cuda: returns the CUDA version of PyTorch, or None.

    Raises:
        TypeError: for a probe that is not a function.
    """

    find_spec: Callable[[str], ModuleSpec | None] = importlib.util.find_spec
    version: Callable[[str], str] = importlib.metadata.version
    import_error: Callable[[], str | None] = import_error
    nvcc: Callable[[], str | None] = nvcc_version
    torch_cuda: Callable[[], str | None] = torch_cuda

    def __post_init__(self) -> None:
        for name, probe in vars(self).items():
            if not callable(probe):
                raise TypeError(
                    f"Probes: {name} must be a function, got {probe!r}. "
                    f"Write {name}=lambda: {probe!r}."
                )


@dataclass(frozen=True)
class ApexStatus:
    """What :func:`apex_status` found; ``str`` of it is for people.

    Attributes:
        kind: a key of ``KINDS``, such as ``"absent"``.
        version: what the installed distribution says, or None.
        extensions: whether the compiled CUDA extensions are there.
        cuda: a key of ``CUDA``, such as ``"mismatch"``.
        advice: what to do.
        details: what ``str`` shows above the advice, a paragraph each.
    """

    kind: str
    version: str | None
    extensions: bool
    cuda: str
    advice: str
    details: tuple[str, ...] = field(repr=False)

    def __str__(self) -> str:
        lines = [*self.details, f"Do: {self.advice}"]
        return "\n".join(textwrap.fill(line, 72) for line in lines)


def apex_status(probes: Probes | None = None) -> ApexStatus:
    """Tell whether apex is NVIDIA's, which one, and whether the CUDA compiler fits.

    Nothing of apex is imported into this process; NVIDIA's is imported once in another,
    since an extension built for another PyTorch shows its fault only then.

    Args:
        probes: what to ask in place of this machine.

    Returns:
        An :class:`ApexStatus`.

    Raises:
        TypeError: if ``probes`` is something else.

    Example:
        >>> bare = Probes(find_spec=lambda name: None, nvcc=lambda: None)
        >>> apex_status(bare).kind
        'absent'

    Source: the check of the two versions is that of apex's ``setup.py``, which compares
    major and minor.
    """
    if probes is None:
        probes = Probes()
    if not isinstance(probes, Probes):
        raise TypeError(
            f"apex_status: probes must be Probes, got {type(probes).__name__}. "
            "Leave it out to ask this machine."
        )
    kind, extensions, error, place = _package(probes)
    version = None if kind == "absent" else _version(probes)
    nvcc, of_torch = probes.nvcc(), probes.torch_cuda()
    cuda = _cuda(nvcc, of_torch)
    found, to_do = KINDS[kind]
    # pip knows only what it installed.
    rename = version is None and place is not None
    remove = f"Rename {place}" if rename else "Run `pip uninstall apex`"
    details = [f"apex{f' {version}' if version else ''}: {found}"]
    if error:
        details.append(f"Error: {error}")
        if "undefined symbol" in error:
            details.append("An undefined symbol: it was built against another PyTorch.")
    if kind.endswith("amp"):
        details.append(f"Extensions: {'compiled' if extensions else 'none'}.")
    details += f"CUDA: {CUDA[cuda]}".format(nvcc=nvcc, torch=of_torch).split("\n")
    advice = to_do.format(remove=remove)
    return ApexStatus(kind, version, extensions, cuda, advice, tuple(details))


def _package(probes: Probes) -> tuple[str, bool, str | None, str | None]:
    """Return the kind of apex, whether it has extensions, an error, and its place."""
    try:
        spec = probes.find_spec("apex")
        if spec is None:
            return "absent", False, None, None
        compiled = probes.find_spec("amp_C") is not None
    except (ImportError, ValueError, AttributeError) as error:
        return "broken", False, f"{type(error).__name__}: {error}", None
    folders = [Path(place) for place in spec.submodule_search_locations or ()]
    if folders and spec.origin in (None, "namespace"):
        return "folder", False, None, None
    place = str(folders[0]) if folders else spec.origin
    has = {path.stem for folder in folders for path in folder.glob("*")}
    if not has.intersection(OURS):
        return "unrelated", False, None, place
    compiled |= any(
        path.suffix in (".so", ".pyd")
        for folder in folders
        for path in folder.rglob("*amp_C*")
    )
    error = probes.import_error()
    kind = "broken" if error else "with amp" if "amp" in has else "without amp"
    return kind, compiled, error, place


def _version(probes: Probes) -> str | None:
    try:
        return probes.version("apex")
    except importlib.metadata.PackageNotFoundError:
        return None


def _cuda(nvcc: str | None, cuda_of_torch: str | None) -> str:
    """Return a key of ``CUDA``, by the rule of apex's own build."""
    if cuda_of_torch is None:
        return "no CUDA"
    if nvcc is None:
        return "no compiler"
    same = nvcc.split(".")[:2] == cuda_of_torch.split(".")[:2]
    return "match" if same else "mismatch"
