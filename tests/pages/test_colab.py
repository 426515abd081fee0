"""One notebook alone in an empty folder, without the package, as Colab opens it."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import set_address
from conftest import ROOT, copy_product
from notebook_rules import notebooks


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
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    (inside,) = folder.glob("lib/python*/site-packages")
    for entry in Path(sysconfig.get_paths()["purelib"]).iterdir():
        # An editable installation leaves the records that a wheel carries.
        ours = entry.name == "helpers" or "measured_pytorch" in entry.name
        if not ours and not (inside / entry.name).exists():
            (inside / entry.name).symlink_to(entry)
    return folder


@pytest.mark.parametrize("path", notebooks()[:1], ids=lambda p: p.stem)
def test_notebook_alone_installs_the_helpers_and_runs(
    path, bare_repository, runtime, tmp_path
):
    shutil.copy(path, tmp_path)
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
    python = runtime / "bin" / "python"
    missing = subprocess.run(
        [python, "-c", "import helpers"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
    )
    assert b"No module named 'helpers'" in missing.stderr

    options = ["--nbval", "--nbval-current-env", "-q", "-p", "no:cacheprovider"]
    result = subprocess.run(
        [python, "-m", "pytest", *options, path.name],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    where = subprocess.check_output(
        [python, "-c", "import helpers; print(helpers.__file__)"],
        cwd=tmp_path,
        env=environment,
        text=True,
    )
    assert Path(where.strip()).is_relative_to(runtime)
