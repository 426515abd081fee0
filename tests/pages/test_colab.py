"""One notebook alone in an empty folder, without the package, as Colab opens it."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import set_address
from notebook_rules import notebooks
from repository import ROOT, copy_product
from set_up import set_up_code


@pytest.fixture(scope="module")
def bare_repository(tmp_path_factory) -> Path:
    """The product as it would be published, in a bare git repository."""
    work, bare = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("bare")
    copy_product(work)
    identity = ["-c", "user.name=a", "-c", "user.email=a@localhost"]
    for command in (
        ["init", "-q", "-b", "main"],
        ["add", "-A"],
        [*identity, "commit", "-q", "-m", "The book"],
        ["clone", "-q", "--bare", str(work), str(bare)],
    ):
        subprocess.run(["git", *command], cwd=work, check=True)
    return bare


@pytest.fixture(scope="module")
def runtime(tmp_path_factory) -> Path:
    """A virtual environment with everything but the book's helpers."""
    folder = tmp_path_factory.mktemp("runtime")
    # pip comes with the rest, since a second copy takes seconds.
    make = [sys.executable, "-m", "venv", "--without-pip", folder]
    subprocess.run(make, check=True)
    (inside,) = folder.glob("lib/python*/site-packages")
    for entry in Path(sysconfig.get_paths()["purelib"]).iterdir():
        # An editable installation leaves the records that a wheel carries.
        ours = entry.name == "helpers" or "measured_pytorch" in entry.name
        if not ours and not (inside / entry.name).exists():
            (inside / entry.name).symlink_to(entry)
    return folder


@pytest.fixture(scope="module")
def alone(bare_repository, runtime):
    """Run Python in a folder as that environment does, and return what it says."""

    def run(*arguments, cwd, **variables):
        environment = os.environ | {
            "PATH": f"{runtime / 'bin'}:{os.environ['PATH']}",
            # The published address leads to the local repository; no network is asked.
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.file://{bare_repository}.insteadOf",
            "GIT_CONFIG_VALUE_0": set_address.current(ROOT),
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "false",  # pip's spelling of "no isolation"
            "PIP_ROOT_USER_ACTION": "ignore",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PYTHONPATH": "",
        }
        return subprocess.run(
            [runtime / "bin" / "python", *arguments],
            cwd=cwd,
            env=environment | variables,
            capture_output=True,
            text=True,
        )

    return run


@pytest.mark.parametrize("name", ["helpers.py", "helpers/__init__.py"])
def test_other_helpers_are_named_and_the_advice_works(alone, tmp_path, name):
    """A file beside the notebook, or another package, hides the book's own."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    result = alone("-c", set_up_code(), cwd=tmp_path, PYTHONPATH=str(ROOT))
    message = result.stderr.splitlines()[-1]
    assert f"from '{path}'> is not this book's, or too old." in message
    assert "a file or folder helpers beside this notebook? Rename it." in message

    (tmp_path / Path(name).parts[0]).rename(tmp_path / "renamed")
    result = alone("-c", set_up_code(), cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert result.returncode == 0, result.stderr


def test_folder_named_helpers_gets_the_same_advice(alone, tmp_path):
    (tmp_path / "helpers").mkdir()
    result = alone("-c", set_up_code(), cwd=tmp_path)
    message = result.stderr.splitlines()[-1]
    assert "a file or folder helpers beside this notebook? Rename it." in message


def test_failed_installation_is_shown_with_a_cure(alone, tmp_path):
    nowhere = f"url.file://{tmp_path}/nowhere.insteadOf"
    result = alone("-c", set_up_code(), cwd=tmp_path, GIT_CONFIG_KEY_0=nowhere)
    assert result.returncode == 1
    assert "does not appear to be a git repository" in result.stderr
    address = f"git+{set_address.current(ROOT)}@main"
    assert f"Is there a network? Does {address} exist?" in result.stderr


@pytest.mark.parametrize("path", notebooks()[:1], ids=lambda p: p.stem)
def test_notebook_alone_installs_the_helpers_and_runs(path, alone, runtime, tmp_path):
    shutil.copy(path, tmp_path)
    missing = alone("-c", "import helpers", cwd=tmp_path)
    assert "No module named 'helpers'" in missing.stderr

    options = ["--nbval", "--nbval-current-env", "-q", "-p", "no:cacheprovider"]
    result = alone("-m", "pytest", *options, path.name, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    where = alone("-c", "import helpers; print(helpers.__file__)", cwd=tmp_path)
    assert Path(where.stdout.strip()).is_relative_to(runtime)


def test_old_helpers_are_replaced_as_the_advice_says(alone, runtime, tmp_path):
    """After the test above: pip's record says that the book's helpers are there."""
    (door,) = runtime.glob("lib/python*/site-packages/helpers/__init__.py")
    door.write_text("")
    result = alone("-c", set_up_code(), cwd=tmp_path)
    assert f"from '{door}'> is not this book's, or too old." in result.stderr

    packages = ["helpers", "measured-pytorch"]
    alone("-m", "pip", "uninstall", "-y", *packages, cwd=tmp_path)
    result = alone("-c", set_up_code(), cwd=tmp_path)
    assert result.returncode == 0, result.stderr
