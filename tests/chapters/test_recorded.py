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

from helpers.notebook import gpu_record as recorded
from helpers.notebook import plots


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
            "memory_format": "channels first",
            "steps": 50,
            "repeats": 5,
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


def record_of_an_old_card() -> dict:
    """A made-up record of a card without TF32 and bfloat16."""
    made_up = copy.deepcopy(record())
    for mode in ("tf32", "bf16"):
        for key in ("time_ms", "peak_mib"):
            made_up["training_step"][key][mode] = recorded.NOT_SUPPORTED
    return made_up


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


def cpu(peak_mib=lambda: 1.0, supports=lambda mode: True) -> bench_gpu.Device:
    return bench_gpu.Device(
        "cpu", clock_time_ms, lambda: None, peak_mib, lambda: FACTS, supports
    )


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
    times, resets, steps = iter([18.0, 2.0, 4.0]), [], []
    device = bench_gpu.Device(
        "cpu",
        lambda work: (work(), next(times))[1],
        lambda: resets.append(1),
        lambda: 77.0,
        dict,
        None,
    )

    def counted() -> nn.Module:
        model = tiny_net()
        model.register_forward_hook(lambda *_: steps.append(1))
        return model

    settings = bench_gpu.Settings(
        {"ResNet-50": counted}, tiny().shapes, 10, warm_up=1, steps=2, repeats=3
    )
    assert bench_gpu.measure_step(device, settings, "ResNet-50", "fp32") == (2.0, 77.0)
    assert resets == [1]
    assert len(steps) == 1 + 3 * 2  # two steps each time that the clock runs


def test_mode_that_the_card_lacks_is_left_out_and_named(write):
    device = cpu(supports=lambda mode: mode not in ("tf32", "bf16"))
    write(bench_gpu.measure(device, tiny()))
    for values in ("time_ms", "peak_mib"):
        by_mode = recorded.gpu_record()["training_step"][values]
        assert by_mode["tf32"] == by_mode["bf16"] == "not supported"
        assert by_mode["fp16"] > 0


@pytest.mark.parametrize(("capability", "supported"), [((7, 5), False), ((8, 0), True)])
def test_tf32_and_bfloat16_need_a_card_that_has_them(
    monkeypatch, capability, supported
):
    def is_bf16_supported(including_emulation=True):
        return including_emulation or capability >= (8, 0)

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_bf16_supported)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    found = {mode: bench_gpu.cuda_supports(mode) for mode in recorded.MODES}
    assert found == {"fp32": True, "tf32": supported, "fp16": True, "bf16": supported}


@pytest.mark.parametrize(
    ("outcome", "driver"),
    [
        (subprocess.CalledProcessError(9, "nvidia-smi"), "unknown"),
        (subprocess.TimeoutExpired("nvidia-smi", 60), "unknown"),
        (FileNotFoundError("nvidia-smi"), "unknown"),
        ("\n", "unknown"),
        ("570.1\n570.1\n", "570.1"),
    ],
    ids=["fails", "hangs", "missing", "silent", "two cards"],
)
def test_driver_is_told_or_unknown(monkeypatch, outcome, driver):
    def told(*_, **__):
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(subprocess, "check_output", told)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a card")
    assert bench_gpu.cuda_facts()["driver"] == driver
    assert bench_gpu.cuda_facts()["hardware"] == "a card"


def test_facts_are_asked_before_anything_is_measured():
    def measured(*_):
        raise AssertionError("measured before the facts were there")

    def no_facts():
        raise OSError("no facts")

    device = bench_gpu.Device("cpu", measured, measured, measured, no_facts, bool)
    with pytest.raises(OSError, match="no facts"):
        bench_gpu.measure(device, tiny())


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
    device = bench_gpu.Device(
        "cpu", lambda work: (work(), 8.0)[1], None, None, None, None
    )
    assert bench_gpu.item_cost(device, tiny(), "MLP") == (4.0, 4.0)


@pytest.mark.parametrize("mode", ["fp32", "tf32", "item"])
def test_tf32_is_on_where_it_is_measured_and_nowhere_else(mode):
    seen = set()

    def spied() -> nn.Module:
        model, backends = tiny_net(), torch.backends
        model.register_forward_hook(
            lambda *_: seen.update(
                (backends.cudnn.allow_tf32, backends.cuda.matmul.allow_tf32)
            )
        )
        return model

    settings = bench_gpu.Settings(
        {"ResNet-50": spied}, tiny().shapes, 10, warm_up=1, steps=1, repeats=1
    )
    if mode == "item":
        bench_gpu.item_cost(cpu(), settings, "ResNet-50")
    else:
        bench_gpu.measure_step(cpu(), settings, "ResNet-50", mode)
    assert seen == {mode == "tf32"}


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


@pytest.mark.parametrize("value", ["unsupported", 0, None])
def test_mode_is_measured_or_not_supported(write, value):
    wrong = record_of_an_old_card()
    wrong["training_step"]["time_ms"]["bf16"] = value
    write(wrong)
    with pytest.raises(
        ValueError, match=r"bf16 must be a positive number or 'not supported', got"
    ):
        recorded.gpu_record()


def test_float16_and_float32_are_always_measured(write):
    wrong = record()
    wrong["training_step"]["time_ms"]["fp16"] = recorded.NOT_SUPPORTED
    write(wrong)
    with pytest.raises(ValueError, match=r"fp16 must be a positive number, got 'not"):
        recorded.gpu_record()


def test_time_without_a_peak_is_refused(write):
    wrong = record_of_an_old_card()
    wrong["training_step"]["time_ms"]["bf16"] = 3.0
    write(wrong)
    with pytest.raises(
        ValueError, match=r"training_step must have a time and a peak of the same modes"
    ):
        recorded.gpu_record()


def test_training_step_is_told_in_words(folder):
    assert recorded.describe_mixed_precision() == (
        "Not recorded yet: run `make bench-gpu` on a machine with a CUDA GPU, "
        "then `make run`. Until then this book claims no speed-up."
    )
    told = recorded.describe_mixed_precision(record())
    assert told.startswith(
        "Time and peak memory of a training step, ResNet-50, 64 images, channels first: "
        "fp32 400 ms (1.00 times the speed of fp32) and 4000 MiB; tf32 200 ms (2.00 "
    )
    assert "claims no speed-up" not in told
    assert "Not supported" not in told
    old = recorded.describe_mixed_precision(record_of_an_old_card())
    assert old.endswith(
        "1100 MiB. Not supported by this card: tf32, bf16. "
        "BCELoss under autocast: RuntimeError. "
        + recorded.describe_gpu_record(record())
    )
    with pytest.raises(ValueError, match=r"describe_mixed_precision: record must have"):
        recorded.describe_mixed_precision({"hardware": "none"})


def test_figure_leaves_out_what_the_card_lacks():
    told = plots.describe(recorded.plot_training_step(record_of_an_old_card()))
    assert told.count("2 points") == 2
    assert "first 400, last 110" in told


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
            "from helpers.notebook import gpu_record as r; print(r.describe_gpu_record())",
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "installed")},
        text=True,
    )
    assert told.startswith("Measured on Imaginary GPU")
