"""Environments as readers have them: make one, run the book in it, tell what happened.

An environment lies in .venv-verify/<name>, and is made anew only when what it should
hold has changed. Its packages come from wherever pip and uv look on this machine; to
take PyTorch's builds without CUDA, set UV_TORCH_BACKEND=cpu.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import nbformat
import set_address
import tomllib
from nbformat import NotebookNode
from run import MODEL_ID, NotebookFailed, execute
from tqdm import tqdm

ROOT = Path(__file__).parents[1]
WORK = ROOT / ".venv-verify"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROOF = ("ipykernel", "pytest", "hypothesis", "filelock", "pyyaml", "nbformat")
# What Colab had in 2025, without the packages that the set-up cell installs.
COLAB = (
    "torch==2.9.0",
    "torchvision==0.24.0",
    "numpy==2.0.2",
    "scikit-learn==1.6.1",
    "matplotlib==3.10.0",
    "ipywidgets==7.7.1",
    "tqdm==4.67.1",
    "safetensors==0.6.2",
    "ipython==7.34.0",
    "ipykernel==6.17.1",
    "traitlets==5.7.1",
)
KERNEL = "reader"
VIEW = "application/vnd.jupyter.widget-view+json"
INSTALLED_BY_SET_UP = ("measured-pytorch", "anywidget", "thop")
# What is printed about a package's versions, run inside the environment.
LIST = (
    "import json, platform; from importlib.metadata import distributions; "
    "print(json.dumps({'Python': platform.python_version(), "
    "**{d.metadata['Name'].lower(): d.version for d in distributions()}}))"
)


class Environment(NamedTuple):
    """What a reader may have.

    Attributes:
        name: its folder, and its column on the page.
        python: ``"3.10"``, or ``"newest"`` for the newest that was found.
        requirements: what is installed first, and by which rule of uv.
        resolution: ``"lowest-direct"`` takes the oldest that the requirements allow.
        alone: each notebook installs the helpers itself, as in Colab.
    """

    name: str
    python: str
    requirements: tuple[str, ...]
    resolution: str = "highest"
    alone: bool = False


def environments() -> tuple[Environment, ...]:
    """Return the environments, the oldest of them as pyproject.toml promises it."""
    extras = PROJECT["project"]["optional-dependencies"]
    everything = (*extras["notebooks"], *extras["all"][1:])
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=")
    return (
        Environment("oldest", oldest, everything, "lowest-direct"),
        Environment("colab", "3.12", COLAB, alone=True),
        Environment("newest", "newest", everything),
    )


class NotMade(Exception):
    """An environment that this machine cannot have; the text says why."""


# --- interpreters ----------------------------------------------------------------------


def interpreters(named: list[Path]) -> dict[str, Path]:
    """Return an interpreter for each Python, such as ``{"3.10": path}``, the oldest first.

    Args:
        named: those to take before what is found on PATH and in pyenv's folder.
    """
    folders = [Path(each) for each in os.get_exec_path()]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [*named, *sorted(pyenv.glob("3.*/bin/python"))]
    found += [path for folder in folders for path in sorted(folder.glob("python3.*"))]
    pythons: dict[str, Path] = {}
    for path in found:
        if path in named or re.fullmatch(r"python(3\.\d+)?", path.name):
            pythons.setdefault(_version(path), path)
    pythons.pop("", None)
    return dict(sorted(pythons.items(), key=lambda pair: int(pair[0].split(".")[1])))


def _version(python: Path) -> str:
    """Return an interpreter's version, as ``"3.10"``; empty if it does not run."""
    command = [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


def pick(environment: Environment, pythons: dict[str, Path]) -> Path:
    """Return the interpreter of an environment.

    Raises:
        NotMade: if there is none.
    """
    if environment.python != "newest":
        if environment.python in pythons:
            return pythons[environment.python]
        raise NotMade(f"no Python {environment.python} was found")
    own = sys.version_info.minor
    newer = [p for name, p in pythons.items() if int(name.split(".")[1]) > own]
    if not newer:
        raise NotMade(f"no Python newer than 3.{own} was found")
    return newer[-1]


# --- making ----------------------------------------------------------------------------


def make(environment: Environment, python: Path) -> Path:
    """Return the interpreter of an environment that holds its requirements.

    Raises:
        NotMade: if something cannot be installed.
    """
    folder = WORK / environment.name
    inside = folder / "bin" / "python"
    mark = folder / "made-of.json"
    wanted = json.dumps([str(python), environment, PROOF])
    if not mark.exists() or mark.read_text(encoding="utf-8") != wanted:
        uv("venv", "--quiet", "--clear", "--seed", "--python", python, folder)
        rule = ["--resolution", environment.resolution]
        install = ["pip", "install", "--quiet", "--python", inside]
        uv(*install, *rule, *environment.requirements)
        uv(*install, *PROOF)
        kernel = {"argv": [str(inside), "-m", "ipykernel_launcher", "-f"]}
        kernel["argv"].append("{connection_file}")
        place = folder / "share" / "jupyter" / "kernels" / KERNEL
        place.mkdir(parents=True, exist_ok=True)
        text = json.dumps(kernel | {"display_name": KERNEL, "language": "python"})
        (place / "kernel.json").write_text(text, encoding="utf-8")
        mark.write_text(wanted, encoding="utf-8")
    return inside


def uv(*arguments: str | Path) -> None:
    """Run uv of this environment; raise NotMade with what it says if it fails."""
    command = [Path(sys.executable).with_name("uv"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise NotMade(f"uv {arguments[0]}: {done.stderr.strip()}")


# --- running ---------------------------------------------------------------------------


def verify(environment: Environment, python: Path) -> dict:
    """Run all notebooks and the take-home tests, and return what the page tells of them."""
    with helpers_for(environment) as variables:
        notebooks = {}
        for path in tqdm(sorted((ROOT / "notebooks").glob("*.ipynb"))):
            if environment.alone:
                uv("pip", "uninstall", "--python", python, *INSTALLED_BY_SET_UP)
            notebooks[path.stem] = run_notebook(path, python, variables)
    return {
        "date": datetime.date.today().isoformat(),
        "notebooks": notebooks,
        "tests": take_home(python),
        "versions": versions(python),
    }


@contextlib.contextmanager
def helpers_for(environment: Environment) -> Iterator[dict[str, str]]:
    """Provide the variables by which a notebook finds the helpers of this working tree."""
    if not environment.alone:
        yield {"PYTHONPATH": str(ROOT)}
        return
    with tempfile.TemporaryDirectory() as folder:
        published = Path(folder)
        for path in set_address.files(ROOT):
            target = published / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
        identity = ["-c", "user.name=a", "-c", "user.email=a@localhost"]
        for command in (
            ["init", "-q", "-b", set_address.branch(ROOT)],
            ["add", "-A"],
            [*identity, "commit", "-q", "-m", "The book"],
        ):
            subprocess.run(["git", *command], cwd=published, check=True)
        yield {
            "PYTHONPATH": "",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.file://{published}.insteadOf",
            "GIT_CONFIG_VALUE_0": set_address.current(ROOT),
        }


def run_notebook(path: Path, python: Path, variables: dict[str, str]) -> dict:
    """Run a copy in an empty folder; return why it stopped and which cells differ."""
    os.environ["JUPYTER_PATH"] = str(python.parents[1] / "share" / "jupyter")
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    environment |= {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    environment |= {"PATH": f"{python.parent}:{os.environ['PATH']}", **variables}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copy(path, folder))
        try:
            fresh = asyncio.run(execute(copy, KERNEL, env=environment))
        except NotebookFailed as failure:
            return {"stopped": str(failure).removeprefix(f"{copy}: "), "other": []}
    return {"stopped": "", "other": other_cells(nbformat.read(path, 4), fresh)}


def other_cells(stored: NotebookNode, fresh: NotebookNode) -> list[int]:
    """Return the numbers, from 1, of the cells that print something else."""
    return [
        number
        for number, (old, new) in enumerate(
            zip(stored.cells, fresh.cells, strict=True), 1
        )
        if old.cell_type == "code"
        and "nbval-ignore-output" not in old.metadata.get("tags", [])
        and printed(old) != printed(new)
    ]


def printed(cell: NotebookNode) -> str:
    """Return the text that a cell printed; of a widget or figure, only that it is one."""
    texts = []
    for output in cell.outputs:
        data = output.get("data", {})
        if VIEW in data:  # ipywidgets 7 sends less beside it than 8
            texts += ["a widget"]
        elif len(data) > 1:
            texts += sorted(data)
        texts += [data["text/plain"]] if set(data) == {"text/plain"} else []
        texts += [output.get("text", ""), output.get("evalue", "")]
    return MODEL_ID.sub("", "".join(texts))


def take_home(python: Path) -> dict:
    """Run the tests of the take-home helpers; return how many passed and which failed."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        # Other versions may warn of what will change, and nothing here can mend it.
        options = ["-o", "addopts=", "-o", "filterwarnings=default", "-q"]
        options += ["-p", "no:cacheprovider", f"--junitxml={report}"]
        done = subprocess.run(
            [python, "-m", "pytest", *options, "tests/take_home"],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        if not report.exists():
            raise RuntimeError(f"pytest gave no report:\n{done.stdout}{done.stderr}")
        total, failed = read_report(report)
    return {"total": len(total), "failed": failed}


def read_report(report: Path) -> tuple[list[str], list[str]]:
    """Return the names of all cases in pytest's report, and of those that failed."""
    names, failed = [], []
    for case in ElementTree.parse(report).iter("testcase"):
        names.append(f"{case.get('classname')} {case.get('name')}")
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(names[-1])
    return names, failed


def versions(python: Path) -> dict[str, str]:
    """Return the version of each package that an interpreter has, and its own."""
    done = subprocess.run(
        [python, "-c", LIST], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)
