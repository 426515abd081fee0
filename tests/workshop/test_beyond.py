"""Recipes for more than one machine: their numbers are the measured ones."""

import json
import re

import memory
import pytest
import yaml
from packaging.requirements import Requirement
from repository import ROOT, pins

FOLDER = ROOT / "workshop"
VALUES = yaml.safe_load((FOLDER / "values.yaml").read_text("utf-8"))
DOCKERFILE = (FOLDER / "Dockerfile").read_text("utf-8")
PAGE = (FOLDER / "README.md").read_text("utf-8")
# Of the chart 4.4.0, the keys that are used here.
KEYS = {
    "hub": {"config", "activeServerLimit"},
    "proxy": {"https"},
    "singleuser": {
        *("image", "memory", "cpu", "startTimeout", "storage", "defaultUrl"),
        *("extraEnv", "cmd"),
    },
    "cull": {"enabled", "timeout"},
    "scheduling": {"userScheduler"},
    "prePuller": {"hook", "continuous"},
}


def requirements(path):
    lines = path.read_text("utf-8").splitlines()
    return [Requirement(line.split(" #")[0]) for line in lines if line[:1].isalpha()]


def test_memory_of_a_server_is_the_measured_one():
    sizes = {
        k: float(v.removesuffix("G")) for k, v in VALUES["singleuser"]["memory"].items()
    }
    one = (memory.SERVER_MB + memory.KERNEL_MB) / 1000
    assert one <= sizes["guarantee"] == memory.LEARNER_GB
    assert one + memory.KERNEL_MB / 1000 <= sizes["limit"]


def test_page_tells_the_measured_sizes():
    for size in (memory.SERVER_MB, memory.KERNEL_MB, memory.FILES_MB):
        assert f"{size} MB" in PAGE
    assert "Nobody has built the image" in PAGE


def test_nodes_hold_the_learners():
    learners, cores = 200, 200 * VALUES["singleuser"]["cpu"]["guarantee"]
    nodes, each = 8, 25
    assert nodes * each >= learners
    assert (
        each * memory.LEARNER_GB + memory.ONCE_GB <= 28
    )  # what a node of 32 GB offers
    assert cores <= nodes * 8
    assert VALUES["hub"]["activeServerLimit"] >= learners
    assert f"{learners} GB and {cores:.0f} cores" in PAGE


def test_values_have_only_keys_that_the_chart_knows():
    assert {name: set(part) for name, part in VALUES.items()} == KEYS


def test_server_of_the_image_fits_the_hub_of_the_chart():
    (hub,) = requirements(FOLDER / "requirements-hub.txt")
    assert str(hub) == "jupyterhub==5.5.*"
    assert "4.4.0" in (FOLDER / "values.yaml").read_text("utf-8")
    assert "requirements-hub.txt" in DOCKERFILE


def test_version_of_the_image_is_the_packages():
    version = re.search(
        r'version = "(.+)"', (ROOT / "pyproject.toml").read_text("utf-8")
    )
    assert VALUES["singleuser"]["image"]["tag"] == version[1]
    assert f"measured-pytorch:{version[1]}" in DOCKERFILE


def test_kernels_are_culled_as_in_the_room_on_one_machine():
    config = (ROOT / "tools/workshop/jupyterhub_config.py").read_text("utf-8")
    for argument in VALUES["singleuser"]["cmd"][1:]:
        assert argument in config
    assert f"--timeout={VALUES['cull']['timeout']}" in config


def test_learner_has_what_the_notebooks_need_and_nothing_that_builds_or_tests():
    names = {each.name for each in requirements(FOLDER / "requirements.txt")}
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    wanted = set(re.findall(r'"([\w-]+)>=', project)) - {"hatchling"}
    assert wanted <= names
    assert not names & {"pytest", "playwright", "ruff", "jupyter-book", "hypothesis"}
    assert names - {"nbgitpuller"} <= set(pins())


def test_no_news_pop_up():
    found = json.loads((FOLDER / "overrides.json").read_text("utf-8"))
    assert found["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.M)))
)
def test_what_the_image_copies_exists(path):
    for name in path.split():
        assert (ROOT / name).exists(), name


def test_binder_has_the_pythons_version_and_the_learners_packages():
    assert (ROOT / "binder/runtime.txt").read_text() == (
        ROOT / "runtime.txt"
    ).read_text()
    text = (ROOT / "binder/requirements.txt").read_text()
    assert "-r ../workshop/requirements.txt" in text.splitlines()
