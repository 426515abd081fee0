"""start, data, plots: what a chapter's first cells use."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer

from helpers import start
from helpers.notebook import data, plots


def test_import_loads_no_heavy_package():
    code = (
        "import sys, helpers, helpers.notebook.style, helpers.notebook.plots; "
        "print([m for m in ('torch', 'torchvision', 'sklearn', 'matplotlib', 'thop', "
        "'anywidget') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


def test_start_seeds_pytorch():
    start(seed=3)
    first = torch.rand(3)
    start(seed=3)
    assert torch.equal(torch.rand(3), first)


def test_start_takes_the_path_out_of_warnings(monkeypatch, capsys):
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    start(seed=0)
    assert warnings.formatwarning("be careful", UserWarning, "/a/path.py", 3) == (
        "UserWarning: be careful\n"
    )


def test_breast_cancer_holds_every_sample_once():
    split = data.breast_cancer(seed=1, standardize=False, dtype=torch.float64)
    features, targets = load_breast_cancer(return_X_y=True)
    ours = torch.cat([split.x_train, split.x_test]).numpy()
    assert np.array_equal(np.sort(ours, axis=0), np.sort(features, axis=0))
    assert torch.cat([split.y_train, split.y_test]).sum() == targets.sum()


def test_breast_cancer_standardises_with_the_training_set():
    raw = data.breast_cancer(seed=2, standardize=False, dtype=torch.float64)
    split = data.breast_cancer(seed=2, dtype=torch.float64)
    mean, std = raw.x_train.mean(dim=0), raw.x_train.std(dim=0)
    torch.testing.assert_close(split.x_test, (raw.x_test - mean) / std)
    torch.testing.assert_close(split.x_train.std(dim=0), torch.ones(30).double())


def test_breast_cancer_split_depends_on_the_seed_alone():
    first, again, other = (data.breast_cancer(seed=s) for s in (0, 0, 1))
    assert torch.equal(first.x_test, again.x_test)
    assert not torch.equal(first.x_test, other.x_test)


def test_digits_are_scaled_and_stratified():
    split = data.digits(seed=0, dtype=torch.float64)
    assert (split.x_train.min(), split.x_train.max()) == (0, 1)
    assert split.y_test.bincount().min() >= 43


def test_panels_are_titled_left_to_right():
    _, axes = plots.panels(["a", "b", "c"])
    assert [ax.get_title(loc="left") for ax in axes] == ["a", "b", "c"]


def test_line_has_the_role_s_colour_and_style():
    from helpers.notebook.style import color

    _, (ax,) = plots.panels(["loss"])
    plots.line(ax, torch.arange(3), torch.rand(3), "bad", "pitfall")
    assert ax.lines[0].get_color() == color("pitfall")
    assert ax.lines[0].get_linestyle() == "--"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64, torch.int64])
def test_line_takes_tensors_of_any_kind(dtype):
    _, (ax,) = plots.panels(["loss"])
    y = torch.tensor([1, 2]).to(dtype)
    plots.line(ax, [1, 2], y.requires_grad_() if dtype.is_floating_point else y, "x")
    assert ax.lines[0].get_ydata().tolist() == [1, 2]


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax, v: ax.bar([0, 1], [1, v], label="bars"),
        lambda ax, v: ax.scatter([0, 1], [1, v], label="dots"),
        lambda ax, v: ax.imshow([[1, v]]),
        lambda ax, v: ax.plot([1, v]),
    ],
)
def test_describe_notices_a_change_in_whatever_is_drawn(draw):
    texts = []
    for value in (4, 400):
        figure, (ax,) = plots.panels(["x"])
        draw(ax, value)
        texts.append(plots.describe(figure))
    assert "400" in texts[1]
    assert texts[0] != texts[1]


def test_describe_notices_a_changed_curve():
    texts = []
    for last in (0.2, 0.3):
        figure, (ax,) = plots.panels(["loss"])
        plots.line(ax, [0, 1], [0.7, last], "training")
        texts.append(plots.describe(figure))
    assert texts[0] != texts[1]


def test_show_displays_picture_alt_text_and_numbers(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda *a, **k: shown.append((a, k)))
    figure, (ax,) = plots.panels(["loss"])
    plots.line(ax, [0, 1], [0.7, 0.2], "training")
    plots.show(figure, alt="The training loss falls from 0.7 to 0.2.")
    ((bundle,), options) = shown[0]
    assert bundle["image/png"].startswith(b"\x89PNG")
    assert bundle["text/plain"].splitlines()[1].startswith("loss | training: 2 points")
    assert options["metadata"]["image/png"]["alt"] == (
        "The training loss falls from 0.7 to 0.2."
    )


def test_digits_of_one_processor_alone_draw_the_same_picture(monkeypatch):
    """The last digits of a training are a processor's own; the stored picture is not."""
    pictures = set()

    def display(bundle, **_):
        pictures.add(bundle["image/png"])

    monkeypatch.setattr("IPython.display.display", display)
    losses = 3 / torch.arange(1, 60, dtype=torch.float64)
    for noise in (0, 1e-12, 1e-9, 1e-2):
        figure, (ax,) = plots.panels(["loss"])
        plots.line(ax, range(59), losses * (1 + noise), "training")
        ax.set(yscale="log")
        plots.show(figure, alt="The training loss falls from 3 to 0.05.")
        assert len(pictures) == 1 + (noise == 1e-2)


def test_photo_crops_are_the_photographs_in_squares():
    from sklearn.datasets import load_sample_image

    crops, photograph = data.photo_crops(32)
    assert photograph.bincount().tolist() == [260, 260]
    flower = torch.tensor(load_sample_image("flower.jpg")).permute(2, 0, 1)
    assert torch.equal(crops[260 + 20 + 3], flower[:, 32:64, 96:128])
