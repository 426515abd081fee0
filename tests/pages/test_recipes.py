"""A chapter's recipe runs in an empty file: what a reader copies is all there."""

from multiprocessing import get_context

import pytest
from notebook_rules import Chapter, notebooks
from run_alone import run

# The first optimizer imports torch._dynamo, which needs seconds.
IMPORTED_ONCE = ["sklearn.metrics", "torch._dynamo", "torchvision.transforms.v2"]


@pytest.fixture(scope="module")
def new_process():
    """Each call has a process of its own, which need not import the libraries again."""
    context = get_context("forkserver")
    context.set_forkserver_preload(IMPORTED_ONCE)
    with context.Pool(1, maxtasksperchild=1) as pool:
        yield pool.apply


@pytest.mark.parametrize("path", notebooks(), ids=lambda p: p.stem)
def test_recipe_runs_in_an_empty_file(path, tmp_path, new_process):
    """With the folded cell above it, which defines every name that it takes."""
    ((_, given),) = Chapter.read(path).tagged("given")
    ((_, recipe),) = Chapter.read(path).tagged("recipe")
    script = tmp_path / "script.py"
    script.write_text(f"{given.source}\n{recipe.source}\n")
    new_process(run, [script])
