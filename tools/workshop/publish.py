"""Put a folder's files on a branch of their own, on top of what the branch had.

    python tools/workshop/publish.py workshop _workshop/student

Made for the workflow: `workshop` has the notebooks without solutions, for nbgitpuller, and
`published` the book's files with their real address, for Colab. What git ignores stays out.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path


def git(*arguments: str, check: bool = True, **variables: str) -> str:
    """Run git here, and return what it prints, or "" if it fails and may."""
    result = subprocess.run(
        ["git", *arguments],
        env=os.environ | variables,
        capture_output=True,
        text=True,
    )
    if check and result.returncode:
        raise ValueError(f"git {' '.join(arguments)}: {result.stderr.strip()}")
    return "" if result.returncode else result.stdout.strip()


def publish(branch: str, folder: Path) -> bool:
    """Commit a folder's files to a branch of the remote ``origin``.

    The branch keeps its history, since nbgitpuller merges it into learners' files.

    Returns:
        Whether anything has changed.

    Raises:
        ValueError: if there is no such folder, or git refuses.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: there is no such folder. Type `make student`.")
    git("fetch", "--quiet", "origin", branch, check=False)
    there = git("ls-remote", "--heads", "origin", branch)
    parent = there.split()[0] if there else ""
    with tempfile.TemporaryDirectory() as scratch:
        # An index and a work tree of its own: what is checked out here stays as it is.
        own = {"GIT_INDEX_FILE": f"{scratch}/index", "GIT_WORK_TREE": str(folder)}
        own["GIT_DIR"] = git("rev-parse", "--absolute-git-dir")
        git("add", "--all", ".", **own)
        tree = git("write-tree", **own)
    if parent and tree == git("rev-parse", f"{parent}^{{tree}}"):
        return False
    source = git("rev-parse", "--short", "HEAD")
    on_top = ["-p", parent] if parent else []
    commit = git("commit-tree", tree, *on_top, "-m", f"Made from {source}")
    git("push", "--quiet", "origin", f"{commit}:refs/heads/{branch}")
    return True


if __name__ == "__main__":
    try:
        name, folder = sys.argv[1], Path(sys.argv[2]).resolve()
        changed = publish(name, folder)
        print(f"{name}: {'a new commit' if changed else 'nothing has changed'}")
    except ValueError as error:
        sys.exit(str(error))
