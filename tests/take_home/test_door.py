"""The door of the package: every take-home name, loaded when it is first used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import helpers


def names_for_type_checkers():
    tree = ast.parse(Path(helpers.__file__).read_text("utf-8"))
    block = next(n for n in tree.body if isinstance(n, ast.If))
    return {
        (i.module.removeprefix("helpers."), alias.name)
        for i in block.body
        for alias in i.names
    }


def test_door_has_the_same_names_everywhere():
    pairs = {(m, name) for m, names in helpers.TAKE_HOME.items() for name in names}
    assert names_for_type_checkers() == pairs
    assert [*sorted(name for _, name in pairs), "start"] == sorted(
        helpers.__all__, key=lambda name: (name == "start", name)
    )
    assert set(helpers.__all__) <= set(dir(helpers))


@pytest.mark.parametrize("name", helpers.__all__)
def test_name_is_there_documented_and_shown_in_an_example(name):
    value = getattr(helpers, name)
    assert value.__name__ == name
    if not issubclass(value if isinstance(value, type) else object, Exception):
        assert "Example:\n" in value.__doc__


def test_unknown_name_is_told_what_there_is():
    with pytest.raises(AttributeError, match=r"no attribute 'count_mac'.*count_macs"):
        _ = helpers.count_mac


def test_import_of_the_package_loads_no_other():
    program = (
        "import sys, helpers; print({'torch', 'numpy', 'anywidget'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )
    assert done.stdout == "set()\n", done.stderr
