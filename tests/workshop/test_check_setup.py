"""The check of a learner's set-up says in words what is missing."""

import subprocess
import sys
from importlib import metadata

import pytest

from helpers.notebook import check_setup

pytestmark = pytest.mark.filterwarnings("ignore:distutils")  # thop's


def test_this_machine_is_ready():
    command = [sys.executable, "-m", "helpers.notebook.check_setup"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("✓") == len(check_setup.STEPS)
    assert "Ready" in result.stdout


def test_all_packages_of_the_notebooks_are_asked_for():
    wanted = check_setup.wanted()
    assert {"torch", "anywidget", "thop", "scikit-learn", "matplotlib"} <= set(wanted)
    assert wanted["torch"] == "2.6"


@pytest.mark.parametrize(
    ("versions", "text"),
    [
        ({"anywidget": None}, "anywidget is missing."),
        ({"torch": "2.5.1"}, "torch 2.5.1 is too old, 2.6 or newer is needed."),
        ({"torch": "2.10.0+cpu"}, None),
    ],
)
def test_package_that_is_missing_or_old_is_named(monkeypatch, capsys, versions, text):
    real = metadata.version

    def version(name):
        if name in versions and versions[name] is None:
            raise metadata.PackageNotFoundError(name)
        return versions.get(name) or real(name)

    monkeypatch.setattr(check_setup.metadata, "version", version)
    assert check_setup.main() == bool(text)
    printed = capsys.readouterr().out
    assert (text or "Ready") in printed
    assert (check_setup.CURE in printed) == bool(text)


def test_step_that_cannot_be_tried_does_not_hide_the_others(monkeypatch, capsys):
    def broken():
        raise ImportError("no such file")
        yield

    monkeypatch.setitem(check_setup.STEPS, "a gradient", broken)
    assert check_setup.main() == 1
    printed = capsys.readouterr().out
    assert "✗ a gradient\n    cannot be tried: ImportError: no such file." in printed
    assert "✓ a widget" in printed
