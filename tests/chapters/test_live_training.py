"""What live widgets train with, against torch: layers, losses, real digits."""

import base64
import gzip
import itertools
import json

import numpy as np
import torch
from torch import nn

from helpers.chapters.bce_and_logits import LogitsTraining
from helpers.notebook.data import digits
from helpers.widgets.live import digits_as_text

STEPS = """(() => {
  const layers = a.layers.map(({ inputs, outputs, weight, bias }) => ({
    inputs, outputs, weight: Float64Array.from(weight), bias: Float64Array.from(bias),
  }));
  const x = Float64Array.from(a.x);
  const losses = [];
  for (let i = 0; i < 50; i++) {
    const seen = m.trace(layers, x);
    const { loss, slopes } = m.crossEntropy(seen.at(-1), a.labels, a.classes);
    losses.push(loss);
    m.gradients(layers, seen, slopes).forEach((g, k) => m.descend(layers[k], g, 0.5));
  }
  const logits = m.trace(layers, x).at(-1);
  return {
    losses,
    weights: layers.flatMap(({ weight, bias }) => [...weight, ...bias]),
    probabilities: [...m.softmaxRows(logits, a.classes)],
    right: m.accuracy(logits, a.labels, a.classes),
  };
})()"""


def test_50_steps_of_a_network_are_torch_s(front_end):
    sizes, data = [64, 12, 8, 10], digits()
    layers = [nn.Linear(a, b).double() for a, b in itertools.pairwise(sizes)]
    net = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
    x, y = data.x_train[:40].double(), data.y_train[:40]
    settings = {
        "layers": [
            {
                "inputs": layer.in_features,
                "outputs": layer.out_features,
                "weight": layer.weight.flatten().tolist(),
                "bias": layer.bias.tolist(),
            }
            for layer in layers
        ],
        "x": x.flatten().tolist(),
        "labels": y.tolist(),
        "classes": 10,
    }
    ours = front_end(LogitsTraining, STEPS, settings)
    optimizer, losses = torch.optim.SGD(net.parameters(), lr=0.5), []
    for _ in range(50):
        loss = nn.functional.cross_entropy(net(x), y)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    logits = net(x).detach()
    weights = nn.utils.parameters_to_vector(net.parameters()).detach()
    np.testing.assert_allclose(ours["losses"], losses, rtol=1e-9)
    np.testing.assert_allclose(ours["weights"], weights.numpy(), rtol=1e-7, atol=1e-9)
    probabilities = logits.softmax(1).flatten().numpy()
    np.testing.assert_allclose(ours["probabilities"], probabilities, rtol=1e-7)
    assert ours["right"] == (logits.argmax(1) == y).double().mean().item()


def test_network_starts_as_torch_s(front_end):
    start = """m.network([64, 20, 10], m.generator(a)).map(({ weight, bias }) =>
      [weight.length, bias.length, Math.max(...weight.map(Math.abs))])"""
    layers = [nn.Linear(64, 20), nn.Linear(20, 10)]
    shapes = [[layer.weight.numel(), layer.bias.numel()] for layer in layers]
    bounds = [layer.in_features**-0.5 for layer in layers]
    ours = front_end(LogitsTraining, start, 0)
    assert [row[:2] for row in ours] == shapes
    np.testing.assert_allclose([row[2] for row in ours], bounds, rtol=0.02)


def test_cross_entropy_of_huge_logits_stays_finite(front_end):
    loss = "m.crossEntropy(Float64Array.from(a), [1], 2).loss"
    assert front_end(LogitsTraining, loss, [800, -800]) == 1600


def test_digits_travel_as_light_text():
    texts, data = digits_as_text(300, 200), digits()
    pixels = torch.tensor([*map(float, texts["train_pixels"].split())]).reshape(300, 64)
    assert torch.equal(pixels / 16, data.x_train[:300])
    labels = [*map(int, texts["test_labels"].split())]
    assert labels == data.y_test[:200].tolist()
    assert len(base64.b64encode(gzip.compress(json.dumps(texts).encode()))) <= 30_000
