"""Tell, the evening before a workshop, whether this machine can run the notebooks.

python -m helpers.notebook.check_setup
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from importlib import metadata

CURE = 'python -m pip install "measured-pytorch[all]"'
# Two packages are imported by another name than they are installed by.
MODULES = {"scikit-learn": "sklearn"}
LAB = "JupyterLab, or another program that opens notebooks: python -m pip install jupyterlab"


def wanted() -> dict[str, str]:
    """Return each package that the notebooks need, with its oldest version."""
    lines = metadata.requires("measured-pytorch") or []
    found = [re.match(r"([\w-]+)>=([\w.]+);.*extra", line) for line in lines]
    return {match[1]: match[2] for match in found if match}


def packages() -> Iterator[str]:
    """Yield what is wrong with the packages, one sentence each."""
    for name, oldest in wanted().items():
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield f"{name} is missing"
            continue
        if _numbers(found) < _numbers(oldest):
            yield f"{name} {found} is too old, {oldest} or newer is needed"
            continue
        try:
            importlib.import_module(MODULES.get(name, name))
        except Exception as error:  # such as two builds of PyTorch that do not fit
            yield f"{name} {found} cannot be imported: {error}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version.partition("+")[0])[:3]))


def lab() -> Iterator[str]:
    """Yield a sentence if no program opens notebooks."""
    found = {dist.metadata["Name"].lower() for dist in metadata.distributions()}
    if not found & {"jupyterlab", "notebook"}:
        yield LAB


def one_check() -> Iterator[str]:
    """Yield a sentence unless a check answers."""
    from helpers.exercises.number import NumberCheck

    verdict = NumberCheck("What is 1/2?", 0.5, 0.01, "Half.")(0.5)
    if verdict.state != "correct":
        yield f"the check of an exercise answers {verdict}"


def one_widget() -> Iterator[str]:
    """Yield a sentence unless a widget holds what its page needs."""
    from helpers.exercises.number import NumberCheck

    state = NumberCheck("What is 1/2?", 0.5, 0.01, "Half.").box().get_state()
    if not state["_esm"] or state["answer"] != 0.5:
        yield "a widget lacks its script. Install the book's package again"


def one_step() -> Iterator[str]:
    """Yield a sentence unless PyTorch can train."""
    import torch

    weight = torch.ones(2, requires_grad=True)
    (weight**2).sum().backward()
    if weight.grad.tolist() != [2, 2]:
        yield f"PyTorch computes a wrong gradient: {weight.grad.tolist()}"


STEPS: dict[str, Callable[[], Iterator[str]]] = {
    "the packages": packages,
    "a program for notebooks": lab,
    "a gradient": one_step,
    "a check of an exercise": one_check,
    "a widget": one_widget,
}


def problems() -> list[str]:
    """Go through all steps, say how each went, and return what is wrong."""
    found = []
    for name, step in STEPS.items():
        try:
            wrong = list(step())
        except Exception as error:  # what the step needs is missing: named above
            wrong = [f"cannot be tried: {type(error).__name__}: {error}"]
        print(f"{'✗' if wrong else '✓'} {name}")
        for sentence in wrong:
            print(f"    {sentence}.")
        found += wrong
    return found


def main() -> int:
    print(f"Python {sys.version.split()[0]}")
    if problems():
        print(f"\nNot ready. This mends most of it:\n\n    {CURE}\n")
        return 1
    print("\nReady: this machine can run the notebooks.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
