"""What a GPU measured: the benchmark, on the CPU with tiny models, and its readers."""

import json
import math
import re
import shutil
import subprocess
import sys
from unittest.mock import Mock

import gpu as benchmark
import pytest
import torch
from contents import notebooks
from repository import ROOT
from torch import nn

from helpers.notebook import gpu_record

BACKENDS = torch.backends.cudnn, torch.backends.cuda.matmul
RECIPE = (ROOT / "book/data/README.md").read_text("utf-8")


def made_up(kind=benchmark.FIELDS):
    """Return a record, or a part of it, that was measured on nothing."""
    if isinstance(kind, dict):
        return {name: made_up(inner) for name, inner in kind.items()}
    return {str: "made up", int: 3, float: 2.5}[kind]


def tiny_net() -> nn.Module:
    pool = nn.AdaptiveAvgPool2d(4)
    return nn.Sequential(pool, nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 1000))


@pytest.fixture
def pretended_gpu(monkeypatch, tmp_path):
    """Make the benchmark take the CPU for a GPU; tell where it writes its record."""
    pretended = {
        "is_available": True,
        "get_device_name": "Imaginary GPU",
        "get_device_capability": (8, 0),
        "is_bf16_supported": True,
        "max_memory_allocated": 3 * 2**20,
        **dict.fromkeys(("synchronize", "empty_cache", "reset_peak_memory_stats")),
    }
    for name, answer in pretended.items():
        monkeypatch.setattr(torch.cuda, name, lambda a=answer, **_: a)
    path = tmp_path / "gpu.json"
    changes = {"DEVICE": "cpu", "WARM_UP": 1, "STEPS": 2, "REPEATS": 3, "PATH": path}
    for name, value in changes.items():
        monkeypatch.setattr(benchmark, name, value)
    monkeypatch.setitem(benchmark.MODELS, "ResNet-50", tiny_net)
    monkeypatch.setattr(gpu_record, "FOLDERS", (tmp_path / "missing", tmp_path))
    before = [backend.allow_tf32 for backend in BACKENDS]
    yield path
    for backend, allowed in zip(BACKENDS, before, strict=True):
        backend.allow_tf32 = allowed


# --- the benchmark -------------------------------------------------------------------


def test_record_is_written_whole_and_described(pretended_gpu):
    assert gpu_record.gpu_record() is None
    assert benchmark.main(["--batch", "4"]) == 0
    assert list(pretended_gpu.parent.iterdir()) == [pretended_gpu]
    record = gpu_record.gpu_record()
    step = record["training_step"]
    assert step["batch"] == 4
    assert step["peak_mib"] == dict.fromkeys(benchmark.MODES, 3.0)
    told = gpu_record.describe_gpu_record(record)
    assert told.startswith("Measured on Imaginary GPU (driver ")
    facts = [value for value in record.values() if isinstance(value, str)]
    assert len(facts) == 7
    assert all(fact in told for fact in facts)


def test_time_is_the_median_of_the_runs_divided_by_their_steps(
    pretended_gpu, monkeypatch
):
    seconds = iter([0, 0.018, 1, 1.002, 2, 2.004])  # 18, 2 and 4 ms
    monkeypatch.setattr(benchmark.time, "perf_counter", lambda: next(seconds))
    assert benchmark.step_cost(4, "fp32") == (pytest.approx(2.0), 3.0)
    seconds = iter([0, 0.008, 1, 1.006] * 3)  # in every step, at the end
    assert benchmark.item_cost("MLP", 4) == pytest.approx((4.0, 3.0))


@pytest.mark.parametrize(
    ("mode", "dtype"),
    [
        ("fp32", torch.float32),
        ("tf32", torch.float32),
        ("fp16", torch.float16),
        ("bf16", torch.bfloat16),
    ],
)
def test_each_mode_computes_in_its_own_type(pretended_gpu, monkeypatch, mode, dtype):
    seen, model = set(), tiny_net()

    def look(module, given, out):
        for backend in BACKENDS:
            seen.add((out.dtype, backend.allow_tf32))

    model[1].register_forward_hook(look)
    monkeypatch.setitem(benchmark.MODELS, "ResNet-50", lambda: model)
    assert benchmark.training("ResNet-50", 4, mode)().isfinite()
    assert seen == {(dtype, mode == "tf32")}
    assert model[1].weight.dtype == torch.float32
    assert model[1].weight.grad.abs().sum() > 0


def test_old_card_lacks_two_modes(pretended_gpu, monkeypatch):
    def is_bf16_supported(including_emulation=True):
        return including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_bf16_supported)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    assert benchmark.main(["--batch", "4"]) == 0
    step = gpu_record.gpu_record()["training_step"]
    assert list(step["time_ms"]) == list(step["peak_mib"]) == ["fp32", "fp16"]


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("hardware", "", "record.hardware must be of type str and not empty, got ''"),
        ("steps", 5.0, "item_cost.steps must be of type int and not empty, got 5.0"),
        ("steps", True, "item_cost.steps must be of type int and .*, got True"),
        ("MLP", 0.0, "every_step_ms.MLP must be positive and finite, got 0.0"),
        ("MLP", -1.0, "every_step_ms.MLP must be positive and finite, got -1.0"),
        ("MLP", math.nan, "every_step_ms.MLP must be positive and finite, got nan"),
        ("MLP", math.inf, "every_step_ms.MLP must be positive and finite, got inf"),
        ("fp16", ..., "time_ms must have the fields fp32, .*, got fp32, tf32, bf16"),
        ("extra", 1, "record must have the fields hardware, .*, got .*, extra"),
    ],
)
def test_what_is_not_a_measurement_leaves_the_old_record(
    pretended_gpu, field, value, message
):
    pretended_gpu.write_text("old")
    record = made_up()
    part = {
        "steps": record["item_cost"],
        "MLP": record["item_cost"]["item_every_step_ms"],
        "fp16": record["training_step"]["time_ms"],
    }.get(field, record)
    part[field] = value
    if value is ...:
        del part[field]
    with pytest.raises(ValueError, match=f"{message}.* Nothing was written"):
        benchmark.write(record)
    assert pretended_gpu.read_text() == "old"


@pytest.mark.parametrize(
    ("outcome", "driver"),
    [
        (FileNotFoundError("nvidia-smi"), "unknown"),
        (subprocess.TimeoutExpired("nvidia-smi", 60), "unknown"),
        (subprocess.CalledProcessError(9, "nvidia-smi"), "unknown"),
        ("\n", "unknown"),
        ("570.1\n570.1\n", "570.1"),  # two cards
    ],
    ids=str,
)
def test_driver_is_what_nvidia_smi_says_or_unknown(monkeypatch, outcome, driver):
    monkeypatch.setattr(subprocess, "check_output", Mock(side_effect=[outcome]))
    assert benchmark.driver_version() == driver


def test_refusal_of_bce_is_recorded(pretended_gpu, monkeypatch):
    def refuse(*_):
        raise RuntimeError("unsafe to autocast")

    assert benchmark.bce_under_autocast()["error"] == "none"
    monkeypatch.setattr(nn.BCELoss, "forward", refuse)
    refused = {"error": "RuntimeError", "message": "unsafe to autocast"}
    assert benchmark.bce_under_autocast() == refused


@pytest.mark.parametrize(
    ("available", "message"),
    [(False, "No CUDA GPU was found"), (True, "32 images do not fit .* --batch 16")],
)
def test_failure_is_one_sentence_and_nothing_is_written(
    pretended_gpu, monkeypatch, capsys, available, message
):
    def full(batch):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    monkeypatch.setattr(benchmark, "measure", full)
    assert benchmark.main(["--batch", "32"]) == 1
    assert re.match(message, capsys.readouterr().err)
    assert not pretended_gpu.exists()


# --- the readers ---------------------------------------------------------------------


def test_readers_are_told_of_a_record_only_if_there_is_one():
    told = re.compile("gpu_record|bench-gpu|gpu.json|not recorded|recorded (yet|there)")
    pages = [*sorted((ROOT / "book").glob("*.md")), *notebooks()]
    found = [p.name for p in pages if told.search(p.read_text("utf-8"))]
    if not (ROOT / "book/data/gpu.json").exists():
        assert found == []
    else:
        assert found, "book/data/README.md says where the record is shown"


@pytest.mark.parametrize("cell", re.findall(r"```python\n(.*?)```", RECIPE, re.S))
def test_cells_of_the_recipe_show_the_record(pretended_gpu, monkeypatch, capsys, cell):
    benchmark.write(made_up())
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **_: shown.append(data))
    exec(cell, {})
    told = capsys.readouterr().out
    assert told.startswith("Measured on made up")
    figures = "".join(data["text/plain"] for data in shown)
    assert figures.count("4 points, first 2.5") == 2 or "MLP: 2.5 ms" in told
    assert max(map(len, [*told.splitlines(), *cell.splitlines()])) <= 76


def test_reading_a_record_needs_no_pytorch_and_the_package_carries_it(tmp_path):
    """As in Colab: a wheel, unpacked where no repository is around it."""
    source = tmp_path / "source"
    for name in ("helpers", "book/data"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    (source / "book/data/gpu.json").write_text(json.dumps(made_up()))
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    shutil.unpack_archive(wheel, tmp_path / "installed", "zip")
    read = (
        "import sys; from helpers.notebook.gpu_record import gpu_record; "
        "print(gpu_record(), 'torch' in sys.modules)"
    )
    told = subprocess.check_output(
        [sys.executable, "-c", read],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "installed")},
        text=True,
    )
    assert told == f"{made_up()} False\n"
