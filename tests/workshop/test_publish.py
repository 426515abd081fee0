"""Branches that the workflow makes: on top of their own history, and nothing else moves."""

import subprocess

import publish
import pytest

VARIABLES = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}


def git(folder, *arguments):
    command = ["git", "-C", folder, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A clone with one commit, and its origin beside it."""
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    git(tmp_path, "init", "-q", "--bare", "origin")
    git(tmp_path, "clone", "-q", tmp_path / "origin", "clone")
    clone = tmp_path / "clone"
    (clone / ".gitignore").write_text("ignored/\n")
    git(clone, "add", ".")
    git(clone, "commit", "-q", "-m", "first")
    (clone / "ignored/copies").mkdir(parents=True)
    (clone / "ignored/copies/a.ipynb").write_text("one")
    monkeypatch.chdir(clone)
    return clone


def test_folder_becomes_a_branch_that_keeps_its_history(clone):
    copies, origin = clone / "ignored/copies", clone.parent / "origin"
    assert publish.publish("workshop", copies)
    assert not publish.publish("workshop", copies)
    (copies / "a.ipynb").write_text("two")
    (copies / "b.ipynb").write_text("new")
    assert publish.publish("workshop", copies)
    assert git(origin, "show", "workshop:a.ipynb") == "two"
    files = git(origin, "ls-tree", "-r", "--name-only", "workshop").split()
    assert files == ["a.ipynb", "b.ipynb"]
    assert len(git(origin, "log", "--oneline", "workshop").splitlines()) == 2
    assert git(clone, "status", "--porcelain") == ""


def test_repository_itself_can_be_published_with_what_was_changed(clone):
    (clone / "page.md").write_text("the real address")
    publish.publish("published", clone)
    files = git(clone.parent / "origin", "ls-tree", "-r", "--name-only", "published")
    assert files.split() == [".gitignore", "page.md"]


def test_missing_folder_is_named(clone):
    with pytest.raises(ValueError, match=r"nowhere: there is no such folder"):
        publish.publish("workshop", clone / "nowhere")
