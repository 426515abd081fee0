"""Write the repository's address everywhere: ``set_address.py https://github.com/me/repo``.

The address stands in _config.yml; links, badges and the notebooks' set-up cells follow it.
A second argument is the branch that the built book's links and buttons lead to.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parent))
from whole_file import write_whole

ROOT = Path(__file__).parents[1]
ADDRESS = re.compile(r"https://[\w.-]+(/[\w.-]+)+")


def current(root: Path) -> str:
    """Return the address in a book's _config.yml."""
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    return config["repository"]["url"]


def branch(root: Path) -> str:
    """Return the branch that the book's links lead to."""
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    return config["repository"]["branch"]


def is_placeholder(root: Path) -> bool:
    """Tell whether nobody has named an address: no owner on GitHub has an underscore."""
    return re.match(r"https://github\.com/[\w-]*_", current(root)) is not None


def pages_address(root: Path) -> str:
    """Return where GitHub Pages shows the book, with a slash at the end.

    Returns:
        ``""`` if the repository is not on GitHub, or its address is still the
        placeholder.
    """
    found = re.fullmatch(r"https://github\.com/([\w-]+)/([\w.-]+)", current(root))
    if not found or is_placeholder(root):
        return ""
    owner, name = found[1].lower(), found[2]
    host = f"{owner}.github.io"
    return f"https://{host}/" if name.lower() == host else f"https://{host}/{name}/"


def files(root: Path) -> list[Path]:
    """Return the text files of the product: what git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
    ).stdout.decode()
    paths = [root / name for name in listed.split("\0") if name]
    return [p for p in paths if p.is_file() and b"\0" not in p.read_bytes()[:4096]]


def set_address(root: Path, new: str) -> list[Path]:
    """Replace the address in every file.

    Args:
        root: the repository's folder.
        new: ``https://host/owner/name``.

    Returns:
        The files that changed.

    Raises:
        ValueError: if ``new`` is not such an address. Nothing is changed then.
    """
    if not ADDRESS.fullmatch(new) or new.endswith((".git", ".")):
        raise ValueError(
            "set_address: new must look like https://github.com/owner/name, without a "
            f"slash or .git at the end, got {new!r}."
        )
    # Not where the old address is only the beginning of another one.
    old = re.compile(re.escape(current(root)) + r"(?![\w-])")
    texts = {path: path.read_text(encoding="utf-8") for path in files(root)}
    changed = {path: old.sub(new, text) for path, text in texts.items()}
    changed = {path: text for path, text in changed.items() if text != texts[path]}
    # _config.yml last: after an interruption the old address is still known.
    for path in sorted(changed, key=lambda p: p.name == "_config.yml"):
        write_whole(path, changed[path])
    return sorted(changed)


def set_branch(root: Path, new: str) -> None:
    """Let the book's links and its Colab buttons lead to another branch.

    Set-up cells go on to install the helpers from the branch that they name.
    """
    path = root / "_config.yml"
    old = re.compile(rf"^(  branch: ){re.escape(branch(root))}$", re.M)
    write_whole(path, old.sub(rf"\g<1>{new}", path.read_text(encoding="utf-8")))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address", help="https://github.com/owner/name")
    parser.add_argument(
        "branch", nargs="?", help="of the book's links; default: the same"
    )
    options = parser.parse_args()
    try:
        changed = set_address(ROOT, options.address)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    for path in changed:
        print(path.relative_to(ROOT))
    if options.branch:
        set_branch(ROOT, options.branch)
    return 0


if __name__ == "__main__":
    sys.exit(main())
