"""Every kind of wrong argument: the whole message, and that its advice works."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader, TensorDataset
from torchvision.transforms import v2

from helpers import (
    RunningMean,
    accumulation_weights,
    accuracy,
    bands,
    collect_logits,
    cross_validate,
    dataset_mean_std,
    depends_on_batch,
    dry_autocast,
    evaluating,
    grouped,
    kept_for_backward,
    kfold_loaders,
    pos_weight,
    predictions,
    prior_logits,
    start,
)
from helpers.notebook import data, plots

X, Y = torch.rand(20, 3), torch.arange(20) % 2
IMAGES = torch.rand(40, 3, 8, 8)
DATASET = TensorDataset(X, Y)
BY_NAME = {"input": X, "labels": Y, "idx": Y}
MODEL = nn.Linear(3, 2)
NAN = torch.tensor(math.nan)


def spoiled(values, value, *where):
    values = values.clone()
    values[where] = value
    return values


class Sizes(torch.utils.data.Dataset):
    """Images of which the sixth is smaller."""

    def __len__(self):
        return 9

    def __getitem__(self, index):
        return IMAGES[index, :, int(index == 5) :]


class Arrays(torch.utils.data.Dataset):
    """Images of which the second has not become a tensor."""

    def __init__(self, transform=lambda image: image):
        self.transform = transform

    def __len__(self):
        return 2

    def __getitem__(self, index):
        image = self.transform(np.full((8, 8, 3), index, dtype=np.uint8))
        return (image if index else v2.ToImage()(np.zeros((8, 8, 3), np.uint8))), index


def draw(x, y, role="correct"):
    plots.line(plots.panels(["loss"])[1][0], x, y, "label", role)


def show(figure, alt):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("IPython.display.display", lambda *_, **__: None)
        plots.show(figure, alt)


def figure(drawn):
    figure, (ax,) = plots.panels(["loss"])
    if drawn:
        plots.line(ax, [0, 1], [0.7, 0.2], "training")
    return figure


def mean_of(value, weight):
    mean = RunningMean()
    mean.update(value, weight)
    return mean


def retained():
    logits = MODEL(X)
    logits.retain_grad()
    logits.sum().backward()
    return logits.grad


def hooked(model):
    model.register_forward_hook(lambda module, x, out: out[0])
    return model


ALT = "The training loss falls from 0.7 to 0.2."

# (wrong call, error, message, the call that the message advises), one for each check
# in helpers/_arguments.py and for each sentence that a reader with a real mistake needs.
CASES = [
    # an integer
    (
        lambda: start(1.5),
        TypeError,
        "start: seed must be an integer, got 1.5. Try seed=0.",
        lambda: start(seed=0),
    ),
    (
        lambda: data.digits(seed=True),
        TypeError,
        "digits: seed must be an integer, got True. Try seed=0.",
        lambda: data.digits(seed=0),
    ),
    (
        lambda: data.breast_cancer(seed=-1),
        ValueError,
        "breast_cancer: seed must be from 0 to 4294967295, got -1. Try seed=0.",
        lambda: data.breast_cancer(seed=0),
    ),
    (
        lambda: grouped([1], 0),
        ValueError,
        "grouped: k must be 1 or more, got 0. Try k=1.",
        lambda: grouped([1], k=1),
    ),
    # a number
    (
        lambda: RunningMean().update(1.0, [3]),
        TypeError,
        "RunningMean.update: weight must be a number, got [3]. "
        "Pass len(x), and leave an empty batch out.",
        lambda: RunningMean().update(1.0, len(X)),
    ),
    (
        lambda: RunningMean().update(1.0, 0),
        ValueError,
        "RunningMean.update: weight must be more than 0 and finite, got 0. "
        "Pass len(x), and leave an empty batch out.",
        lambda: RunningMean().update(1.0, len(X)),
    ),
    (
        lambda: bands(X, scale=math.inf),
        ValueError,
        "bands: scale must be more than 0 and finite, got inf. Try scale=1.0.",
        lambda: bands(X, scale=1.0),
    ),
    # one of a few
    (
        lambda: dry_autocast("tpu", torch.float16).__enter__(),
        ValueError,
        "dry_autocast: device must be one of cpu, cuda, got 'tpu'. Try 'cpu'.",
        lambda: dry_autocast("cpu", torch.float16),
    ),
    (
        lambda: draw([1], [1], "good"),
        ValueError,
        "line: role must be one of correct, pitfall, reference, extra, got 'good'. "
        "Try 'correct'.",
        lambda: draw([1], [1], "correct"),
    ),
    # a type
    (
        lambda: plots.panels("loss"),
        TypeError,
        "panels: titles must be of type list or tuple, got str. Write panels([title]).",
        lambda: plots.panels(["loss"]),
    ),
    (
        lambda: dataset_mean_std(list(IMAGES.numpy())),
        TypeError,
        "dataset_mean_std: data must be of type Tensor or Dataset or DataLoader, got list. "
        "Pass torch.as_tensor(np.stack(data)).",
        lambda: dataset_mean_std(torch.as_tensor(np.stack(list(IMAGES.numpy())))),
    ),
    (
        lambda: predictions(MODEL, [{"x": X}]),
        TypeError,
        "predictions: batch 1: what loader yields must be (x, ..., y), or a dict with y "
        "under the name labels, got a dict of x. "
        "Give it a collate_fn that returns (x, y) or (x1, x2, ..., y).",
        lambda: predictions(
            MODEL, DataLoader(DATASET, collate_fn=lambda rows: (X[:1], Y[:1]))
        ),
    ),
    (
        lambda: data.digits(dtype=torch.int64),
        TypeError,
        "digits: dtype must be a floating-point type, got torch.int64. "
        "Try torch.float32.",
        lambda: data.digits(dtype=torch.float32),
    ),
    # a tensor
    (
        lambda: pos_weight([0, 1]),
        TypeError,
        "pos_weight: targets must be a torch.Tensor, got list. "
        "Convert it: torch.as_tensor(targets).",
        lambda: pos_weight(torch.as_tensor([0, 1])),
    ),
    (
        lambda: predictions(MODEL, list(DATASET.tensors[0].split(2))),
        TypeError,
        "predictions: batch 1: what loader yields must be (x, ..., y), or a dict with y "
        "under the name labels, got Tensor. "
        "Give it a collate_fn that returns (x, y) or (x1, x2, ..., y).",
        lambda: predictions(MODEL, list(zip(X.split(2), Y.split(2), strict=True))),
    ),
    (
        lambda: predictions(MODEL, [(X,)]),
        TypeError,
        "predictions: batch 1: what loader yields must be (x, ..., y), or a dict with y "
        "under the name labels, got a tuple of 1. "
        "Give it a collate_fn that returns (x, y) or (x1, x2, ..., y).",
        lambda: predictions(MODEL, DataLoader(DATASET)),
    ),
    (
        lambda: predictions(MODEL, [(X[0], 1)]),
        TypeError,
        "predictions: batch 1: y must be a torch.Tensor, got int. "
        "Let DataLoader(dataset, batch_size=...) make the batches.",
        lambda: predictions(MODEL, DataLoader([(X[0], 1)], batch_size=2)),
    ),
    (
        lambda: predictions(nn.LSTM(3, 2), [(X, Y)]),
        TypeError,
        "predictions: batch 1: what model returns must be a floating-point torch.Tensor, "
        "got tuple. Choose the logits: model.register_forward_hook(lambda module, x, out: "
        "out[0]).",
        lambda: predictions(hooked(nn.LSTM(3, 2)), [(X, Y)]),
    ),
    (
        lambda: bands(Y),
        TypeError,
        "bands: values must be a floating-point torch.Tensor, got torch.int64. "
        "Pass values.float().",
        lambda: bands(Y.float()),
    ),
    (
        lambda: bands(X + 0j),
        TypeError,
        "bands: values must be a floating-point torch.Tensor, got torch.complex64. "
        "Pass values.abs().",
        lambda: bands((X + 0j).abs()),
    ),
    (
        lambda: bands(None),
        TypeError,
        "bands: values must be a floating-point torch.Tensor, got NoneType. "
        "Call logits.retain_grad() before backward(), and pass logits.grad.",
        lambda: bands(retained()),
    ),
    (
        lambda: bands([1.0]),
        TypeError,
        "bands: values must be a floating-point torch.Tensor, got list. "
        "Convert it: torch.as_tensor(values).",
        lambda: bands(torch.as_tensor([1.0])),
    ),
    (
        lambda: depends_on_batch(lambda x: (x,), X),
        TypeError,
        "depends_on_batch: what model returns must be a torch.Tensor, got tuple. "
        "Pass a function that returns it: lambda x: model(x)[0].",
        lambda: depends_on_batch(lambda x: (x,)[0], X),
    ),
    (
        lambda: dataset_mean_std(Arrays()),
        TypeError,
        "dataset_mean_std: image 1 must be a torch.Tensor, got ndarray. "
        "Add the transform v2.ToImage(), and return the image first.",
        lambda: dataset_mean_std(Arrays(v2.ToImage())),
    ),
    # a shape
    (
        lambda: prior_logits(torch.zeros(2, 2, 2)),
        ValueError,
        "prior_logits: targets must be (N,) or (N, C) with at least one element, got "
        "shape (2, 2, 2). For one class: targets.flatten(). For several: "
        "targets.flatten(0, -2).",
        lambda: prior_logits(torch.tensor([[[0, 1]], [[1, 0]]]).flatten(0, -2)),
    ),
    (
        lambda: RunningMean().update(torch.ones(64)),
        ValueError,
        "RunningMean.update: value must be of one element, got shape (64,). "
        "Pass value.mean(), weight=value.numel().",
        lambda: RunningMean().update(torch.ones(64).mean(), weight=64),
    ),
    (
        lambda: RunningMean().update(1.0, torch.ones(2, 3)),
        ValueError,
        "RunningMean.update: weight must be of one element, got shape (2, 3). "
        "Pass weight.sum().",
        lambda: RunningMean().update(1.0, torch.ones(2, 3).sum()),
    ),
    (
        lambda: predictions(nn.Sequential(MODEL, nn.Unflatten(1, (2, 1))), [(X, Y)]),
        ValueError,
        "predictions: batch 1: what model returns must be logits (B, C), (B, 1) or (B,), "
        "got shape (20, 2, 1). Write squeeze(1), not squeeze(); flatten tokens or pixels "
        "into the batch.",
        lambda: predictions(MODEL, [(X, Y)]),
    ),
    (
        lambda: predictions(MODEL, [(X, Y), (X, torch.eye(20)[:, :2])]),
        ValueError,
        "predictions: batch 2: y must be (20,) or (20, 1), one class for each row of "
        "logits, got shape (20, 2). For several labels in a row: "
        "y, logits = collect_logits(model, loader), then logits > 0.",
        lambda: collect_logits(MODEL, [(X, torch.eye(20)[:, :2])])[1] > 0,
    ),
    (
        lambda: predictions(MODEL, [(X, torch.eye(2)[Y])]),
        ValueError,
        "predictions: batch 1: y must be (20,) or (20, 1), one class for each row of "
        "logits, got shape (20, 2). For one-hot rows pass y.argmax(dim=1). For several "
        "labels in a row: y, logits = collect_logits(model, loader), then logits > 0.",
        lambda: predictions(MODEL, [(X, torch.eye(2)[Y].argmax(dim=1))]),
    ),
    (
        lambda: predictions(MODEL, [(X, Y.expand(3, 20))]),
        ValueError,
        "predictions: batch 1: y must be (20,) or (20, 1), one class for each row of "
        "logits, got shape (3, 20). Flatten both alike, so that each row has one class.",
        lambda: predictions(MODEL, [(X.repeat(3, 1), Y.expand(3, 20).flatten())]),
    ),
    (
        lambda: predictions(nn.Linear(3, 1), [(X, torch.ones(20, 2))]),
        ValueError,
        "predictions: batch 1: y must be (20,) or (20, 1), one class for each row of "
        "logits, got shape (20, 2). Give the model one logit for each label.",
        lambda: collect_logits(nn.Linear(3, 2), [(X, torch.ones(20, 2))]),
    ),
    (
        lambda: predictions(MODEL, [(X, Y, Y)]),
        TypeError,
        "predictions: batch 1: a batch must be what the model's forward takes, then y, "
        "got too many positional arguments. Leave out the rest, such as an index: "
        "((x, y) for x, y, *_ in loader).",
        lambda: predictions(MODEL, ((x, y) for x, y, *_ in [(X, Y, Y)])),
    ),
    (
        lambda: predictions(MODEL, [BY_NAME]),
        TypeError,
        "predictions: batch 1: a batch must be what the model's forward takes, then y, "
        "got an unexpected keyword argument 'idx'. Leave out the rest, such as an "
        "index: ((b['input'], b['labels']) for b in loader).",
        lambda: predictions(MODEL, ((b["input"], b["labels"]) for b in [BY_NAME])),
    ),
    (
        lambda: predictions(MODEL, [(X[:2], ["no", "yes"])]),
        TypeError,
        "predictions: batch 1: y must be a torch.Tensor, got list. Number the classes: "
        "torch.tensor([names.index(name) for name in y]).",
        lambda: predictions(
            MODEL,
            [
                (
                    X[:2],
                    torch.tensor([["no", "yes"].index(name) for name in ["no", "yes"]]),
                )
            ],
        ),
    ),
    (
        lambda: predictions(nn.Flatten(0), [(Y, Y)]),
        TypeError,
        "predictions: batch 1: what model returns must be a floating-point torch.Tensor, "
        "got torch.int64. Return the logits, before argmax or rounding.",
        lambda: predictions(MODEL, [(X, Y)]),
    ),
    (
        lambda: depends_on_batch(MODEL, X[:1]),
        ValueError,
        "depends_on_batch: x must be (B, ...) with at least two samples, got shape "
        "(1, 3). One sample has no neighbours: pass two.",
        lambda: depends_on_batch(MODEL, X[:2]),
    ),
    (
        lambda: depends_on_batch(lambda x: MODEL(x).sum(), X),
        ValueError,
        "depends_on_batch: what model returns must be (20, ...), one row for each "
        "sample, got shape (). Leave out what sums or averages over the batch.",
        lambda: depends_on_batch(MODEL, X),
    ),
    (
        lambda: accumulation_weights(torch.ones(2, 2)),
        ValueError,
        "accumulation_weights: sizes must be (K,), one number for each micro-batch, got "
        "shape (2, 2). Pass len(x) of each.",
        lambda: accumulation_weights([len(x) for x in torch.ones(2, 2)]),
    ),
    (
        lambda: dataset_mean_std(IMAGES).merge(dataset_mean_std(IMAGES[:, :1])),
        ValueError,
        "MeanStd.merge: other must be (3,), got shape (1,). Merge images of one kind.",
        lambda: dataset_mean_std(IMAGES).merge(dataset_mean_std(IMAGES)),
    ),
    (
        lambda: draw([1, 2], torch.zeros(2, 1)),
        ValueError,
        "line: y must be (N,) with at least one number, got shape (2, 1). "
        "Pass one curve at a time.",
        lambda: draw([1, 2], torch.zeros(2, 1)[:, 0]),
    ),
    (
        lambda: accuracy(torch.zeros(4), torch.zeros(4)),
        ValueError,
        "accuracy: logits must be (N, C) and y (N,), got (4,) and (4,). "
        "Pass cross_validate a score that fits your model.",
        lambda: cross_validate(
            lambda: nn.Linear(3, 1),
            lambda model: SGD(model.parameters(), lr=0.1),
            kfold_loaders(X, y=torch.rand(20, 1), stratify=False),
            loss_fn=nn.functional.mse_loss,
            score=nn.functional.mse_loss,
        ),
    ),
    (
        lambda: dataset_mean_std(IMAGES[:, 0]),
        ValueError,
        "dataset_mean_std: images must be (N, C, H, W), got (N, H, W) = (40, 8, 8). "
        "Add a channel axis: images.unsqueeze(1).",
        lambda: dataset_mean_std(IMAGES[:, 0].unsqueeze(1)),
    ),
    (
        lambda: dataset_mean_std(TensorDataset(torch.rand(40), IMAGES)),
        ValueError,
        "dataset_mean_std: images must be (N, C, H, W), got (N,) = (40,). "
        "Return the image first, then the label.",
        lambda: dataset_mean_std(TensorDataset(IMAGES, torch.rand(40))),
    ),
    (
        lambda: dataset_mean_std(torch.rand(5, 64)),
        ValueError,
        "dataset_mean_std: images must be (N, C, H, W), got (5, 64). "
        "Reshape them: images.view(N, C, H, W).",
        lambda: dataset_mean_std(torch.rand(5, 64).view(5, 1, 8, 8)),
    ),
    # each element
    (
        lambda: pos_weight(torch.tensor([0, 0.3, 1])),
        ValueError,
        "pos_weight: targets must be 0 or 1, got 0.30000001192092896 at index (1,). "
        "Pass hard labels: (targets > 0.5).",
        lambda: pos_weight(torch.tensor([0, 0.3, 1]) > 0.5),
    ),
    (
        lambda: dataset_mean_std(
            DataLoader(spoiled(IMAGES, NAN, 37, 1, 2, 3), batch_size=16)
        ),
        ValueError,
        "dataset_mean_std: pixels must be finite, got nan at index (37, 1, 2, 3). "
        "Leave the image out, or repair it.",
        lambda: dataset_mean_std(spoiled(IMAGES, NAN, 37, 1, 2, 3)[:37]),
    ),
    (
        lambda: accumulation_weights([4, 0]),
        ValueError,
        "accumulation_weights: sizes must be positive and finite, got 0.0 at index (1,). "
        "Leave out a micro-batch without samples.",
        lambda: accumulation_weights([4]),
    ),
    (
        lambda: predictions(MODEL, [(spoiled(X, NAN, 2), Y)]),
        ValueError,
        "predictions: batch 1: logits must be finite, got nan at index (2, 0). "
        "Look for nan in its input, or an overflow in float16.",
        lambda: predictions(MODEL, [(spoiled(X, NAN, 2)[3:], Y[3:])]),
    ),
    (
        lambda: predictions(MODEL, [(X, spoiled(Y, -100, 3))]),
        ValueError,
        "predictions: batch 1: y must be classes from 0 to 1, got -100 at index (3,). "
        "Leave out ignored samples, and renumber classes from 0.",
        lambda: predictions(MODEL, [(X[4:], Y[4:])]),
    ),
    (
        lambda: predictions(nn.Flatten(0), [(X[:, 0], Y + 1)]),
        ValueError,
        "predictions: batch 1: y must be classes from 0 to 1, got 2 at index (1,). "
        "Leave out ignored samples, and renumber classes from 0.",
        lambda: predictions(nn.Flatten(0), [(X[:, 0] + 1, Y + 1 - 1)]),
    ),
    (
        lambda: depends_on_batch(lambda x: x / 0, X),
        ValueError,
        "depends_on_batch: what model returns must be finite, got inf at index (0, 0). "
        "Look for a masked row or an overflow: nan cannot be compared.",
        lambda: depends_on_batch(lambda x: x, X),
    ),
    (
        lambda: bands(spoiled(X, math.inf, 1, 2)),
        ValueError,
        "bands: values must be finite, got inf at index (1, 2). "
        "They overflowed before; record them in float32, without a scaler.",
        lambda: bands(X.float()),
    ),
    # at least one
    (
        lambda: next(grouped(iter([]), 2)),
        ValueError,
        "grouped: batches must hold at least one batch, got none. "
        "An iterator can be used once: make a new one.",
        lambda: next(grouped(iter([1]), 2)),
    ),
    (
        lambda: predictions(MODEL, DataLoader(DATASET, batch_size=99, drop_last=True)),
        ValueError,
        "predictions: loader must hold at least one batch, got none. "
        "Is the dataset empty, a generator used up, or drop_last=True?",
        lambda: predictions(MODEL, DataLoader(DATASET, batch_size=99)),
    ),
    (
        lambda: dataset_mean_std(IMAGES[:0]),
        ValueError,
        "dataset_mean_std: data must hold at least one image with pixels, got none. "
        "Check the split or the filter that made it.",
        lambda: dataset_mean_std(IMAGES[:1]),
    ),
    (
        lambda: dataset_mean_std(DataLoader(IMAGES, batch_size=99, drop_last=True)),
        ValueError,
        "dataset_mean_std: data must hold at least one image, got none. "
        "Check the split or the filter that made it.",
        lambda: dataset_mean_std(DataLoader(IMAGES, batch_size=99)),
    ),
    (
        lambda: RunningMean().compute(),
        ValueError,
        "RunningMean.compute: the mean must hold at least one value, got none. "
        "Call update first; is the loader empty, or every weight 0?",
        lambda: RunningMean().update(1.0),
    ),
    (
        lambda: mean_of(1.0, torch.tensor(-2)).compute(),
        ValueError,
        "RunningMean.compute: the weights must be 0 or more and finite, got another. "
        "Look at the tensors passed as weight.",
        lambda: mean_of(1.0, torch.tensor(2)).compute(),
    ),
    # batches
    (
        lambda: grouped(X, 2),
        TypeError,
        "grouped: batches must be a DataLoader or a list of batches, got Tensor. "
        "Cut whole tensors: zip(x.split(16), y.split(16)).",
        lambda: next(grouped(zip(X.split(16), Y.split(16), strict=True), 2)),
    ),
    (
        lambda: predictions(MODEL, DATASET),
        TypeError,
        "predictions: loader must be a DataLoader or a list of batches, got "
        "TensorDataset. Wrap a dataset: DataLoader(dataset, batch_size=256).",
        lambda: predictions(MODEL, DataLoader(DATASET, batch_size=256)),
    ),
    # a module
    (
        lambda: evaluating(nn.Linear),
        TypeError,
        "evaluating: model must be an nn.Module, got the class Linear. "
        "Build a model first: Linear(...).",
        lambda: evaluating(nn.Linear(3, 2)),
    ),
    (
        lambda: evaluating(MODEL.state_dict()),
        TypeError,
        "evaluating: model must be an nn.Module, got OrderedDict. "
        "Build the model, load the weights into it, and pass the model.",
        lambda: evaluating(MODEL),
    ),
    (
        lambda: kept_for_backward([MODEL, MODEL]),
        TypeError,
        "kept_for_backward: model must be an nn.Module, got list. "
        "Put several models into one: nn.ModuleList(models).",
        lambda: kept_for_backward(nn.ModuleList([MODEL, MODEL])),
    ),
    (
        lambda: predictions(lambda x: MODEL(x), [(X, Y)]),
        TypeError,
        "predictions: model must be an nn.Module, got function. "
        "Pass the module that the function calls.",
        lambda: predictions(MODEL, [(X, Y)]),
    ),
    (
        lambda: evaluating(None),
        TypeError,
        "evaluating: model must be an nn.Module, got NoneType. Pass the model itself.",
        lambda: evaluating(MODEL),
    ),
    # what one function alone asks for
    (
        lambda: pos_weight(torch.tensor([[0, 0], [0, 1], [0, 1]])),
        ValueError,
        "pos_weight: targets must hold 0 and 1 in every column, got one of them alone in "
        "column(s) [0]. Drop the class, or count over the whole training set.",
        lambda: pos_weight(torch.tensor([[0, 0], [0, 1], [0, 1]])[:, 1:]),
    ),
    (
        lambda: dataset_mean_std(IMAGES.long()),
        TypeError,
        "dataset_mean_std: images must be uint8 or floating point, got torch.int64. "
        "Convert them as in training: images.float().",
        lambda: dataset_mean_std(IMAGES.long().float() + IMAGES),
    ),
    (
        lambda: dataset_mean_std(Sizes()),
        ValueError,
        "dataset_mean_std: images must have one size and type, got (3, 8, 8) of "
        "torch.float32 and then (3, 7, 8) of torch.float32 at image 5. "
        "Resize them as in training.",
        lambda: dataset_mean_std(IMAGES[:, :, 1:]),
    ),
    (
        lambda: show(figure(drawn=True), "loss"),
        ValueError,
        "show: alt must say in a sentence what the figure shows, got 'loss'. "
        "Write what a reader who cannot see it needs to know.",
        lambda: show(figure(drawn=True), ALT),
    ),
    (
        lambda: show(figure(drawn=False), ALT),
        ValueError,
        "show: figure must hold at least one curve, bar, dot or picture, got none. "
        "Draw it before you show it.",
        lambda: show(figure(drawn=True), ALT),
    ),
]


@pytest.mark.filterwarnings("ignore:dataset_mean_std.* constant")
@pytest.mark.parametrize(("wrong", "error", "message", "advised"), CASES)
def test_wrong_argument_is_named_and_the_advice_works(wrong, error, message, advised):
    with pytest.raises(error) as caught:
        wrong()
    assert str(caught.value) == message
    advised()


# What we leave to others must be an error of theirs, not silence.
LEFT_TO_OTHERS = [
    (lambda: accumulation_weights([2, None]), "must be real number, not NoneType"),
    (lambda: accumulation_weights(X.split(16)), "only one element tensors"),
    (lambda: RunningMean().update(None), "must be .* a real number, not 'NoneType'"),
    (lambda: evaluating(MODEL, MODEL), "positional argument"),
    (lambda: predictions(nn.Linear(3, 2, device="meta"), [(X, Y)]), "meta"),
    (
        lambda: predictions(nn.Bilinear(3, 3, 2), [(X, Y)]),
        "missing 1 required position",
    ),
    (lambda: depends_on_batch(3, X), "'int' object is not callable"),
    (lambda: kfold_loaders(X, y=Y, n_splits=1), "n_splits=2 or more, got n_splits=1"),
    (lambda: kfold_loaders(X, y=Y, n_splits=2.5), "must be of Integral type"),
    (
        lambda: kfold_loaders(X, y=Y, n_splits=21, stratify=False),
        "greater than the number of samples",
    ),
    (
        lambda: dataset_mean_std(DataLoader(Sizes(), batch_size=9)),
        "expects each tensor to be equal size",
    ),
    (lambda: dataset_mean_std(IMAGES).merge(3), "'int' object has no attribute"),
    (lambda: draw([1, 2], ["a", "b"]), "could not convert string to float: 'a'"),
    (lambda: draw([1, 2], [1]), "same first dimension"),
    (
        lambda: cross_validate(
            lambda: nn.Linear(3, 2),
            lambda model: SGD(model.parameters(), lr=0.1),
            kfold_loaders(X, y=Y),
            make_scheduler=ReduceLROnPlateau,
        ),
        "missing 1 required positional argument: 'metrics'",
    ),
]


@pytest.mark.parametrize(("wrong", "message"), LEFT_TO_OTHERS)
def test_what_has_no_check_is_an_error_all_the_same(wrong, message):
    with pytest.raises(Exception, match=message):
        wrong()


INTEGERS = {
    "grouped": ("k", lambda k: grouped([1], k)),
    "kfold_loaders": ("batch_size", lambda n: kfold_loaders(X, y=Y, batch_size=n)),
    "kfold_loaders ": ("seed", lambda seed: kfold_loaders(X, y=Y, seed=seed)),
    "cross_validate": ("epochs", lambda n: cross_validate(None, None, [], epochs=n)),
    "cross_validate ": ("seed", lambda n: cross_validate(None, None, [], seed=n)),
    "photo_crops": ("size", data.photo_crops),
    "digits": ("seed", data.digits),
    "breast_cancer": ("seed", data.breast_cancer),
    "start": ("seed", start),
}


@pytest.mark.parametrize("caller", INTEGERS)
def test_every_integer_is_checked(caller):
    name, call = INTEGERS[caller]
    must = f"^{caller.strip()}: {name} must be"
    with pytest.raises(TypeError, match=rf"{must} an integer, got 0\.5\. Try "):
        call(0.5)
    with pytest.raises(ValueError, match=rf"{must} .*, got -1\. Try "):
        call(-1)
