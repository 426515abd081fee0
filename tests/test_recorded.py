"""The GPU benchmark, run whole on the CPU with a tiny model, and what reads its record."""

import copy
import json
import os
import shutil
import subprocess
import sys
import time

import bench_gpu
import pytest
import torch
from conftest import ROOT
from torch import nn

from helpers import plots, recorded


def record(**changes) -> dict:
    """A made-up record: these figures were measured on nothing."""
    times = dict(zip(recorded.MODES, (400.0, 200.0, 110.0, 100.0), strict=True))
    made_up = {
        "hardware": "Imaginary GPU",
        "driver": "1.2",
        "cuda": "3.4",
        "torch": "5.6",
        "torchvision": "7.8",
        "python": "3.99",
        "date": "2026-01-02",
        "training_step": {
            "model": "ResNet-50",
            "batch": 64,
            "pixels": 224,
            "steps": 50,
            "time_ms": times,
            "peak_mib": {mode: 10 * ms for mode, ms in times.items()},
        },
        "bce_under_autocast": {"error": "RuntimeError", "message": "unsafe"},
        "item_cost": {
            "steps": 50,
            "item_every_step_ms": {"MLP": 2.0, "ResNet-50": 401.0},
            "item_at_the_end_ms": {"MLP": 1.0, "ResNet-50": 400.0},
        },
    }
    return made_up | changes


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where a record is looked for: an empty folder."""
    monkeypatch.setattr(recorded, "FOLDERS", (tmp_path / "missing", tmp_path))
    return tmp_path


@pytest.fixture
def write(folder):
    def write(text) -> None:
        (folder / "gpu.json").write_text(
            text if isinstance(text, str) else json.dumps(text)
        )

    return write


# --- the benchmark -------------------------------------------------------------------

FACTS = {"hardware": "a test's CPU", "driver": "none", "cuda": "none"}


def clock_time_ms(work) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1e3


def cpu(peak_mib=lambda: 1.0) -> bench_gpu.Device:
    return bench_gpu.Device("cpu", clock_time_ms, lambda: None, peak_mib, lambda: FACTS)


def tiny_net() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 10)
    )


def tiny() -> bench_gpu.Settings:
    return bench_gpu.Settings(
        models={"MLP": bench_gpu.mlp, "ResNet-50": tiny_net},
        shapes={"MLP": (4, 1, 8, 8), "ResNet-50": (4, 3, 8, 8)},
        classes=10,
        warm_up=1,
        steps=2,
        repeats=2,
    )


def test_benchmark_runs_whole_on_the_cpu(write):
    measured = bench_gpu.measure(cpu(), tiny())
    write(measured)
    assert recorded.gpu_record() == measured
    assert measured["hardware"] == "a test's CPU"
    assert measured["training_step"]["batch"] == 4
    assert measured["training_step"]["pixels"] == 8
    assert measured["torch"] == torch.__version__


def test_time_is_the_median_and_the_peak_is_the_devices():
    times, resets = iter([9.0, 1.0, 2.0]), []
    device = bench_gpu.Device(
        "cpu",
        lambda work: (work(), next(times))[1],
        lambda: resets.append(1),
        lambda: 77.0,
        dict,
    )
    settings = bench_gpu.Settings(
        {"ResNet-50": tiny_net}, {"ResNet-50": (4, 3, 8, 8)}, 10, steps=3
    )
    assert bench_gpu.measure_step(device, settings, "ResNet-50", "fp32") == (2.0, 77.0)
    assert resets == [1]


@pytest.mark.parametrize(
    ("mode", "dtype"),
    [
        ("fp32", torch.float32),
        ("tf32", torch.float32),
        ("fp16", torch.float16),
        ("bf16", torch.bfloat16),
    ],
)
def test_each_mode_computes_in_its_own_type(mode, dtype):
    seen, models = [], []

    def spied() -> nn.Module:
        models.append(tiny_net())
        models[0][0].register_forward_hook(lambda m, i, out: seen.append(out.dtype))
        return models[0]

    settings = bench_gpu.Settings({"ResNet-50": spied}, tiny().shapes, 10)
    before = copy.deepcopy(tiny_net().state_dict())
    loss = bench_gpu.training(cpu(), settings, "ResNet-50", mode)()
    assert seen == [dtype]
    assert loss.isfinite()
    assert not loss.requires_grad
    weight = models[0][0].weight
    assert weight.dtype == torch.float32
    assert weight.shape == before["0.weight"].shape
    assert weight.grad.abs().sum() > 0


def test_tf32_is_given_back_as_it_was():
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    with bench_gpu.tf32(not before[0]):
        assert torch.backends.cuda.matmul.allow_tf32 is not before[0]
    after = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    assert after == before


def test_item_cost_divides_by_the_steps():
    device = bench_gpu.Device("cpu", lambda work: (work(), 8.0)[1], None, None, None)
    assert bench_gpu.item_cost(device, tiny(), "MLP") == (4.0, 4.0)


def test_refusal_of_bce_is_told_or_that_there_was_none(monkeypatch):
    assert bench_gpu.bce_under_autocast(cpu())["error"] == "none"

    def refuse(*_):
        raise RuntimeError("unsafe to autocast")

    monkeypatch.setattr(nn.BCELoss, "forward", refuse)
    assert bench_gpu.bce_under_autocast(cpu()) == {
        "error": "RuntimeError",
        "message": "unsafe to autocast",
    }


def test_without_a_gpu_one_sentence_status_one_and_nothing_written(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(bench_gpu, "PATH", tmp_path / "gpu.json")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert bench_gpu.main([]) == 1
    assert capsys.readouterr().err == (
        "No CUDA GPU is at hand, so nothing was measured and nothing written.\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def pretended_gpu(monkeypatch, tmp_path):
    """A benchmark that takes the CPU for a GPU, and writes below a folder."""
    monkeypatch.setattr(bench_gpu, "ROOT", tmp_path)
    monkeypatch.setattr(bench_gpu, "PATH", tmp_path / "gpu.json")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(bench_gpu, "CUDA", cpu())
    monkeypatch.setattr(bench_gpu, "book_settings", lambda batch: tiny())
    return tmp_path / "gpu.json"


def test_record_is_written_whole(pretended_gpu, capsys):
    assert bench_gpu.main([]) == 0
    written = json.loads(pretended_gpu.read_text())
    recorded.check_record(written, "test")
    assert [path.name for path in pretended_gpu.parent.iterdir()] == ["gpu.json"]
    assert "Written to gpu.json. Now: make run" in capsys.readouterr().out


def test_failed_measurement_leaves_the_old_record(pretended_gpu, monkeypatch):
    pretended_gpu.write_text("old")
    monkeypatch.setattr(bench_gpu, "CUDA", cpu(peak_mib=lambda: float("nan")))
    with pytest.raises(ValueError, match=r"bench_gpu: .*peak_mib.fp32 must be a posi"):
        bench_gpu.main([])
    assert pretended_gpu.read_text() == "old"


def test_card_that_is_too_small_is_told_of_a_smaller_batch(
    pretended_gpu, monkeypatch, capsys
):
    def full(*_):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(bench_gpu, "measure", full)
    assert bench_gpu.main(["--batch", "32"]) == 1
    assert "32 images do not fit" in (said := capsys.readouterr().err)
    assert "--batch 16" in said
    assert not pretended_gpu.exists()


def test_book_records_a_resnet_50_that_it_has_a_shape_for():
    settings = bench_gpu.book_settings(32)
    assert settings.models.keys() == settings.shapes.keys() == set(recorded.MODELS)
    assert settings.shapes["ResNet-50"] == (32, 3, 224, 224)
    assert bench_gpu.mlp()(torch.zeros(settings.shapes["MLP"])).shape == (64, 1000)


# --- the record ----------------------------------------------------------------------


def test_no_file_is_no_record(folder):
    assert recorded.gpu_record() is None
    assert recorded.describe_gpu_record() == (
        "Not recorded yet: run `make bench-gpu` on a machine with a CUDA GPU, "
        "then `make run`."
    )


def test_record_is_read_and_described(write):
    write(record())
    assert recorded.gpu_record() == record()
    assert recorded.describe_gpu_record() == (
        "Measured on Imaginary GPU (driver 1.2, CUDA 3.4), with torch 5.6, "
        "torchvision 7.8 and Python 3.99, on 2026-01-02."
    )


def test_given_record_is_described_without_a_file(folder):
    assert "Another" in recorded.describe_gpu_record(record(hardware="Another"))


@pytest.mark.parametrize("text", ["", "{", "\N{GREEK SMALL LETTER PI}", '{"a": 1'])
def test_damaged_file_is_named(write, text):
    write(text)
    with pytest.raises(
        ValueError, match=r"gpu_record: .*gpu.json is damaged: .* Delete it, or run"
    ):
        recorded.gpu_record()


def test_file_that_is_no_text_is_named(folder):
    (folder / "gpu.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"gpu.json is damaged"):
        recorded.gpu_record()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hardware": 5}, r"record.hardware must be a text, got 5\. Delete"),
        ({"extra": 1}, r"record must have the fields hardware, .*, got .*extra"),
        ({"bce_under_autocast": {}}, r"bce_under_autocast must have .*, got none"),
        ({"item_cost": 3}, r"record.item_cost must have the fields .*, got 3"),
    ],
)
def test_wrong_field_is_named(write, changes, message):
    write(record(**changes))
    with pytest.raises(ValueError, match=rf"gpu_record: .*gpu.json: .*{message}"):
        recorded.gpu_record()


@pytest.mark.parametrize("value", [0, -1, True, "3", None, float("nan"), float("inf")])
def test_what_is_no_measurement_is_refused(write, value):
    wrong = record()
    wrong["training_step"]["time_ms"]["fp16"] = value
    write(wrong)
    with pytest.raises(ValueError, match=r"time_ms.fp16 must be a positive number"):
        recorded.gpu_record()


def test_each_missing_field_is_refused(write):
    for name in recorded.FIELDS:
        write({key: value for key, value in record().items() if key != name})
        with pytest.raises(ValueError, match=r"record must have the fields"):
            recorded.gpu_record()


def test_figure_shows_every_mode_twice():
    told = plots.describe(recorded.plot_training_step(record()))
    assert told.count("4 points") == 2
    assert "ms for a step of 64 images" in told
    assert "first 400, last 100" in told
    assert "first 4e+03, last 1e+03" in told


def test_figure_of_half_a_record_is_refused():
    with pytest.raises(ValueError, match=r"plot_training_step: record must have"):
        recorded.plot_training_step({"hardware": "none"})


def test_this_repositorys_record_is_none_or_sound():
    path = ROOT / "book" / "data" / "gpu.json"
    assert (recorded.gpu_record() is None) == (not path.exists())


def test_package_carries_the_record_where_book_is_absent(tmp_path):
    """As in Colab: a wheel, unpacked where no repository is around it."""
    source = tmp_path / "source"
    for name in ("pyproject.toml", "README.md", "LICENSE", "helpers", "book/data"):
        if (ROOT / name).is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, source / name, ignore=ignore)
        else:
            source.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    (source / "book/data/gpu.json").write_text(json.dumps(record()))
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    shutil.unpack_archive(wheel, tmp_path / "installed", "zip")
    told = subprocess.check_output(
        [
            *(sys.executable, "-c"),
            "from helpers import recorded; print(recorded.describe_gpu_record())",
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "installed")},
        text=True,
    )
    assert told.startswith("Measured on Imaginary GPU")
