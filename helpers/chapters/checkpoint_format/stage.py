"""What may go into a checkpoint, and a run to resume."""

from __future__ import annotations

import argparse
import collections
import datetime
import random

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from helpers.evaluation import evaluating
from helpers.notebook.data import digits

PARTS = ("model", "optimizer", "scheduler", "scaler")


def objects() -> dict[str, object]:
    """Return what a reader can put into a checkpoint, by its name."""
    with torch.random.fork_rng(devices=[]):  # the reader's seed stays where it is
        layer = nn.Linear(2, 1)
    return {
        "model.state_dict()": layer.state_dict(),
        "optimizer.state_dict()": torch.optim.Adam(layer.parameters()).state_dict(),
        "torch.get_rng_state()": torch.get_rng_state(),
        "epoch, an int": 3,
        "loss.item(), a float": 0.25,
        "random.getstate()": random.getstate(),
        "Counter": collections.Counter("a"),
        "set": {"a"},
        "frozenset": frozenset("a"),
        "np.float64": np.float64(0.25),
        "np.ndarray": np.zeros(2),
        "datetime.date": datetime.date(2020, 8, 1),
        "argparse.Namespace": argparse.Namespace(lr=0.1),
        "defaultdict(list)": collections.defaultdict(list, losses=[0.25]),
        "the whole model": layer,
    }


class DigitsRun:
    """A network on scikit-learn's digits, with everything that a checkpoint must hold.

    Args:
        seed: of the split, the weights, and all random numbers from then on.

    Attributes:
        model: 64 → 32 → 10 in float64, with dropout.
        optimizer: AdamW at a learning rate of 0.01.
        scheduler: StepLR, times 0.3 every third epoch.
        scaler: a GradScaler on the CPU, from 1024, doubled every 25 steps.
        epoch: how many are done.
        parts: these four by their names, each with a ``state_dict()``.
        rates: the learning rate of each epoch trained here.

    Example:
        >>> run = DigitsRun(seed=0)
        >>> round(run.train_epoch(), 2), run.epoch
        (2.1, 1)
    """

    def __init__(self, seed: int) -> None:
        self.data = digits(seed, torch.float64)
        torch.manual_seed(seed)
        layers = nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 10)
        self.model = nn.Sequential(*layers).double()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.01)
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 3, gamma=0.3)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=1024, growth_interval=25)
        self.parts = {name: getattr(self, name) for name in PARTS}
        self.epoch, self.rates = 0, []

    def train_epoch(self) -> float:
        """Train on shuffled batches of 128, and return the mean training loss."""
        x, y, total = self.data.x_train, self.data.y_train, 0.0
        self.rates.append(self.optimizer.param_groups[0]["lr"])
        for rows in torch.randperm(len(y)).split(128):
            loss = F.cross_entropy(self.model(x[rows]), y[rows])
            self.optimizer.zero_grad()
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()
            total += loss.item() * len(rows)
        self.scheduler.step()
        self.epoch += 1
        return total / len(y)

    def checkpoint(self) -> dict:
        """Return all that the next step depends on."""
        state = {name: part.state_dict() for name, part in self.parts.items()}
        return state | {"epoch": self.epoch, "rng": torch.get_rng_state()}

    def resume(self, state: dict) -> None:
        """Load what is in the state; what is not stays as it is."""
        for name, part in self.parts.items():
            if name in state:
                part.load_state_dict(state[name])
        if "rng" in state:
            torch.set_rng_state(state["rng"])
        self.epoch = state.get("epoch", 0)

    def distance(self, other: DigitsRun) -> float:
        """Return the largest difference between two runs' weights."""
        pairs = zip(self.model.parameters(), other.model.parameters(), strict=True)
        return max((p - q).abs().max().item() for p, q in pairs)

    def accuracy(self) -> float:
        """Return the share of the test set that is right."""
        with evaluating(self.model):
            guesses = self.model(self.data.x_test).argmax(dim=1)
        return (guesses == self.data.y_test).double().mean().item()
