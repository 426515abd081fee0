"""Run a function in two processes that talk to each other, and print what they say."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.nn.parallel import DistributedDataParallel

RANKS = 2

# What each process runs. A store in a file needs no port, and the time limit holds for
# every single communication. To import PyTorch without the garbage collector, and
# not to take it apart at the end, halves the time.
RUNNER = """
import gc, os, sys, traceback
gc.disable()
from datetime import timedelta
from pathlib import Path
import torch.distributed as dist

folder, name, rank, seconds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
try:
    store = dist.FileStore(str(folder / "store"), 2)
    limit = timedelta(seconds=float(seconds))
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=limit)
    source = (folder / "work.py").read_text(encoding="utf-8")
    space = {}
    exec(compile(source, name, "exec"), space)
    space[name](rank)
    dist.barrier()
    dist.destroy_process_group()
    code = 0
except BaseException:
    traceback.print_exc()
    code = 1
sys.stdout.flush()
sys.stderr.flush()
os._exit(code)  # at once: after a failure, the other rank is to fail after this one
"""


def print_from_two_ranks(work: Callable[[int], None], timeout_s: float = 90) -> None:
    """Run ``work(rank)`` in two new processes joined by gloo, and print what they print.

    The processes get the function's source, so it can be defined in a notebook. They
    import the modules, classes and functions that it uses; other global names are not
    there, and the garbage collector is off, so that they start sooner. Where PyTorch has
    no gloo, a sentence is printed in place. Whatever happens, no process is left behind.

    Args:
        work: takes its rank, 0 or 1, inside an initialised process group on the CPU.
        timeout_s: seconds until both are stopped, more than 0.

    Raises:
        TypeError: if ``work`` is no function, or ``timeout_s`` no number.
        ValueError: if the function's source is not to be had, or ``timeout_s`` is not
            positive.
        RuntimeError: if a process fails; the text ends with what it said last.
        TimeoutError: if they do not end in time.

    Source: https://docs.pytorch.org/docs/stable/distributed.html
    """
    source = _source(work)
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, (int, float)):
        raise TypeError(
            f"print_from_two_ranks: timeout_s must be a number, got {timeout_s!r}. Try 60."
        )
    if not timeout_s > 0:
        raise ValueError(
            f"print_from_two_ranks: timeout_s must be positive, got {timeout_s}. Try 60."
        )
    import torch.distributed as dist

    if not dist.is_available() or not dist.is_gloo_available():
        print(
            "This PyTorch was built without torch.distributed or gloo: nothing was run."
        )
        return
    # On Windows the killed processes may hold their files for a moment longer.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        (Path(folder) / "work.py").write_text(source, encoding="utf-8")
        for text in _run(Path(folder), work.__name__, float(timeout_s)):
            print(text, end="")


def _source(work: object) -> str:
    """Return the text of a function, from a notebook's cell too."""
    if not inspect.isfunction(work) or work.__name__ == "<lambda>":
        raise TypeError(
            "print_from_two_ranks: work must be a function made by def, got "
            f"{work!r}. Write def work(rank): ..."
        )
    try:
        return "\n".join([*_imports(work), textwrap.dedent(inspect.getsource(work))])
    except (OSError, TypeError):
        raise ValueError(
            "print_from_two_ranks: work must have its source in a file or a notebook, "
            f"got {work.__name__} without one. Define it in a cell."
        ) from None


def _imports(work: Callable) -> list[str]:
    """Return a line for each thing that can be imported and that a function may use."""
    lines = []
    for name in work.__code__.co_names:  # of globals, and harmlessly of attributes
        value = work.__globals__.get(name)
        if inspect.ismodule(value):
            lines.append(f"import {value.__name__} as {name}")
        elif isinstance(value, (type, FunctionType)) and value.__module__ != "__main__":
            place = value.__module__, value.__name__, name
            lines.append("from {} import {} as {}".format(*place))
    return lines


def count_all_reduces(model: DistributedDataParallel) -> list:
    """Return a list that gets an item at every all-reduce of a model's gradients.

    Args:
        model: its gradients are still averaged over all processes.

    Source: https://docs.pytorch.org/docs/stable/ddp_comm_hooks.html
    """
    from torch.distributed.algorithms.ddp_comm_hooks import default_hooks

    seen = []

    def hook(state, bucket):
        seen.append(bucket.index())
        return default_hooks.allreduce_hook(state, bucket)

    model.register_comm_hook(None, hook)
    return seen


def _run(folder: Path, name: str, timeout_s: float) -> list[str]:
    """Return what each rank printed, or raise what went wrong in one of them."""
    processes, end = [], time.monotonic() + timeout_s
    try:
        for rank in range(RANKS):
            processes.append(_start(folder, name, rank, timeout_s))
        while None in (codes := [process.poll() for process in processes]):
            if any(codes):  # the other rank would wait for this one
                break
            if time.monotonic() > end:
                raise TimeoutError(
                    f"print_from_two_ranks: work must end in {timeout_s:g} s, got no end. "
                    "Does a rank wait for the other? Or pass a larger timeout_s."
                )
            time.sleep(0.05)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    if any(codes):
        told = [f"rank {r}: {_last_line(folder, r)}" for r in range(RANKS) if codes[r]]
        raise RuntimeError(
            f"print_from_two_ranks: work must not raise, got {'; '.join(told)}"
        )
    return [(folder / f"{r}.out").read_text(encoding="utf-8") for r in range(RANKS)]


def _start(folder: Path, name: str, rank: int, timeout_s: float) -> subprocess.Popen:
    """Start one rank; what it prints goes to files, which no full pipe can block."""
    loopback = {"linux": "lo", "darwin": "lo0"}.get(sys.platform)
    own = {"GLOO_SOCKET_IFNAME": loopback} if loopback else {}
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    own["PYTHONPATH"] = os.pathsep.join(filter(None, paths))  # for helpers
    own |= {"OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
    with (
        (folder / f"{rank}.out").open("wb") as out,
        (folder / f"{rank}.err").open("wb") as err,
    ):
        return subprocess.Popen(
            [sys.executable, "-c", RUNNER, folder, name, str(rank), str(timeout_s)],
            env=os.environ | own,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )


def _last_line(folder: Path, rank: int) -> str:
    """Return the last line of a rank's traceback."""
    text = (folder / f"{rank}.err").read_text(encoding="utf-8", errors="replace")
    return (text.strip().splitlines() or ["no message"])[-1][:300]
