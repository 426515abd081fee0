"""A training run with all the state that a real one carries, small enough to repeat."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from helpers.modes import evaluating
from helpers.notebook.data import digits


class DigitsRun:
    """A network on scikit-learn's digits, with everything that a checkpoint must hold.

    Args:
        seed: of the split, the weights, and all random numbers from then on.

    Attributes:
        model: 64 → 32 → 10 in float64, with dropout.
        optimizer: AdamW at a learning rate of 0.01.
        scheduler: StepLR, times 0.3 every third epoch.
        scaler: a GradScaler on the CPU, from 1024, doubled every 50 steps.
        epoch: how many are done.
        rates: the learning rate of each epoch trained here.

    Example:
        >>> run = DigitsRun(seed=0)
        >>> round(run.train_epoch(), 2), run.epoch
        (1.92, 1)
    """

    def __init__(self, seed: int) -> None:
        self.data = digits(seed, torch.float64)
        torch.manual_seed(seed)
        layers = nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 10)
        self.model = nn.Sequential(*layers).double()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.01)
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 3, gamma=0.3)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=1024, growth_interval=50)
        self.epoch, self.rates = 0, []

    def train_epoch(self) -> float:
        """Train on shuffled batches of 64, and return the mean training loss."""
        x, y, total = self.data.x_train, self.data.y_train, 0.0
        self.rates.append(self.optimizer.param_groups[0]["lr"])
        for rows in torch.randperm(len(y)).split(64):
            loss = F.cross_entropy(self.model(x[rows]), y[rows])
            self.optimizer.zero_grad()
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()
            total += loss.item() * len(rows)
        self.scheduler.step()
        self.epoch += 1
        return total / len(y)

    def accuracy(self) -> float:
        """Return the share of the test set that is right."""
        with evaluating(self.model):
            guesses = self.model(self.data.x_test).argmax(dim=1)
        return (guesses == self.data.y_test).double().mean().item()
