"""Execute notebooks and store their outputs so that two runs give the same bytes.

    python tools/run.py                        # all of notebooks/
    python tools/run.py notebooks/one.ipynb    # some

The set-up cell is written anew, so that it changes in one place, ``tools/set_up.py``.
A notebook is replaced only once all of its cells have run; on a failure the old file
stays, the notebook, cell and error are named, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import re
import signal
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from tqdm import tqdm
from whole_file import write_whole

sys.path.insert(0, str(Path(__file__).parent))
from set_up import set_up_code

ROOT = Path(__file__).parents[1]
STATE_MIME = "application/vnd.jupyter.widget-state+json"
# Not \b: in "IPY_MODEL_<id>" the id follows a letter's neighbour, the underscore.
MODEL_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")


class NotebookFailed(Exception):
    """A notebook did not run to its end; the text names notebook, cell and error."""


async def execute(path: Path, kernel: str = "python3", **start) -> NotebookNode:
    """Run a notebook in its own folder with a fresh kernel.

    Args:
        path: the notebook's file, which is not changed.
        kernel: the kernel's name.
        start: how its process is started, such as ``env={...}``.

    Returns:
        The notebook with outputs, not yet canonical.

    Raises:
        NotebookFailed: if the file is no notebook, or a cell fails or takes too long.
    """
    try:
        notebook = nbformat.read(path, as_version=4)
    except Exception as error:  # nbformat lets many kinds through
        raise NotebookFailed(f"{path}: not a readable notebook: {error}") from None
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if "set-up" in cell.metadata.get("tags", []):
            cell.source = set_up_code()
    client = NotebookClient(
        notebook,
        timeout=120,
        kernel_name=kernel,
        record_timing=False,
        store_widget_state=True,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    )
    try:
        # On cancellation too, this stops its kernel.
        await client.async_execute(**start)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        raise NotebookFailed(f"{path}: {_failed_cell(notebook, error)}") from None
    return notebook


def _failed_cell(notebook: NotebookNode, error: Exception) -> str:
    """Say which cell stopped the run, and why."""
    code = [(i, c) for i, c in enumerate(notebook.cells, 1) if c.cell_type == "code"]
    for number, cell in code:
        for output in cell.outputs:
            expected = "raises-exception" in cell.metadata.get("tags", [])
            if output.output_type == "error" and not expected:
                return f"cell {number}: {output.ename}: {output.evalue}"
    reason = str(error).strip().splitlines()[0]
    number = next(
        (n for n, c in code if c.execution_count is None), len(notebook.cells)
    )
    return f"cell {number}: {type(error).__name__}: {reason}"


def canonical(notebook: NotebookNode, stem: str) -> str:
    """Return the text to store: nothing in it depends on when or where it ran.

    Args:
        notebook: an executed notebook, changed in place.
        stem: the file's name without its suffix, from which widget ids are made.
    """
    notebook.metadata = NotebookNode(
        kernelspec={
            "display_name": "Python 3",
            "language": "python",
            "name": "python3",
        },
        language_info={"name": "python", "pygments_lexer": "ipython3"},
        **{k: v for k, v in notebook.metadata.items() if k == "widgets"},
    )
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        _fold(cell)
        for output in cell.outputs:
            if output.output_type == "error":  # the stack names files of this machine
                output.traceback = [f"{output.ename}: {output.evalue}"]
            _copy_alt_text(cell, output)
    _keep_shown_models(notebook)
    return _stable_ids(notebook, stem)


def _fold(cell: NotebookNode) -> None:
    """Fold a cell tagged hide-cell in JupyterLab and Colab too, under its title."""
    for key in (
        "jupyter",
        "collapsed",
        "cellView",
        "mystnb",
    ):  # a copied cell brings the old ones
        cell.metadata.pop(key, None)
    if "hide-cell" not in cell.metadata.get("tags", []) or not cell.source:
        return
    title = cell.source.splitlines()[0].removeprefix("# @title ").partition(":")[0]
    cell.metadata["jupyter"] = {"source_hidden": True}
    if "solution" in cell.metadata["tags"]:  # its output gives the answer away too
        cell.metadata["jupyter"]["outputs_hidden"] = cell.metadata["collapsed"] = True
    cell.metadata["cellView"] = "form"
    cell.metadata["mystnb"] = {
        "code_prompt_show": f"{title}: show",
        "code_prompt_hide": f"{title}: hide",
    }


def _copy_alt_text(cell: NotebookNode, output: NotebookNode) -> None:
    """Tell the book a figure's alt text, where MyST-NB looks for it."""
    alt = output.get("metadata", {}).get("image/png", {}).get("alt")
    if alt:
        cell.metadata.setdefault("mystnb", {})["image"] = {"alt": alt}


def _keep_shown_models(notebook: NotebookNode) -> None:
    """Order the widget models as they are shown, and drop those that no view reaches."""
    widgets = notebook.metadata.get("widgets", {}).get(STATE_MIME)
    if not widgets:
        notebook.metadata.pop("widgets", None)
        return
    models, shown = widgets["state"], {}
    queue = MODEL_ID.findall(json.dumps(notebook.cells, sort_keys=True))
    while queue:
        model_id = queue.pop(0)
        if model_id in models and model_id not in shown:
            shown[model_id] = models[model_id]
            queue += MODEL_ID.findall(json.dumps(models[model_id], sort_keys=True))
    widgets["state"] = shown


def _stable_ids(notebook: NotebookNode, stem: str) -> str:
    """Write the notebook with widget ids made from its name and a counter."""
    models = notebook.metadata.get("widgets", {}).get(STATE_MIME, {}).get("state", {})
    fresh = {
        old: hashlib.md5(f"{stem}/{count}".encode(), usedforsecurity=False).hexdigest()
        for count, old in enumerate(models)
    }
    text = nbformat.writes(notebook, version=4)
    text = MODEL_ID.sub(lambda match: fresh.get(match[0], match[0]), text)
    # Once more, since the new ids sort differently from the old.
    return nbformat.writes(nbformat.reads(text, as_version=4), version=4) + "\n"


async def run(path: Path) -> bool:
    """Execute one notebook and store it; return whether its file changed."""
    notebook = await execute(path)
    try:
        text = canonical(notebook, path.stem)
    except Exception as error:
        raise NotebookFailed(f"{path}: cannot be stored: {error!r}") from error
    changed = text != path.read_text(encoding="utf-8")
    if changed:
        write_whole(path, text)
    return changed


async def run_all(paths: list[Path], jobs: int, stopping: threading.Event) -> list[str]:
    """Run notebooks, a few at a time, and return what failed."""
    gate, failures = asyncio.Semaphore(jobs), []
    progress = tqdm(total=len(paths), unit="notebook")

    async def one(path: Path) -> None:
        async with gate:
            try:
                if await run(path):
                    tqdm.write(f"stored {path}")
            except NotebookFailed as failure:
                # nbclient takes a cancellation for a kernel that died.
                if stopping.is_set():
                    raise asyncio.CancelledError from None
                failures.append(str(failure))
            progress.update()

    with progress:
        await asyncio.gather(*map(one, paths))
    return failures


def interruptible(paths: list[Path], jobs: int) -> list[str]:
    """Run notebooks so that Ctrl-C and a polite kill stop them and their kernels.

    Raises:
        KeyboardInterrupt: once every kernel has stopped.
    """
    stopping, started = threading.Event(), Future()

    async def supervised() -> list[str]:
        started.set_result((asyncio.get_running_loop(), asyncio.current_task()))
        return await run_all(paths, jobs, stopping)

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Not in the main thread: there nbclient would put its own signal handlers.
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(lambda: asyncio.run(supervised()))
        try:
            return done.result()
        except KeyboardInterrupt:
            stopping.set()
            loop, task = started.result()
            loop.call_soon_threadsafe(task.cancel)
            raise


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="at a time")
    options = parser.parse_args(arguments)
    paths = options.notebooks or sorted((ROOT / "notebooks").glob("*.ipynb"))
    # The kernel of this environment, not one of the same name in the user's folder.
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # stored outputs are the CPU's
    # Kernels side by side with a thread for each core would wait for one another.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        failures = interruptible(paths, max(1, options.jobs))
    except KeyboardInterrupt:
        print("interrupted: what is not named above is unchanged", file=sys.stderr)
        return 130
    for failure in failures:
        print(f"failed {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
