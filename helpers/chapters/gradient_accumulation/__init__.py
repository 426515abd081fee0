"""What a notebook imports: the chapter on gradient accumulation."""

from pathlib import Path

from helpers.chapters.gradient_accumulation import check
from helpers.chapters.gradient_accumulation.stage import (
    find_factors,
    gradient,
    how_far_off,
    loss_gradient,
    train_five_seeds,
)
from helpers.chapters.gradient_accumulation.widget import AccumulationCuts

TWO_RANKS = Path(__file__).with_name("two_ranks.py")  # a script for torchrun

__all__ = [
    "TWO_RANKS",
    "AccumulationCuts",
    "check",
    "find_factors",
    "gradient",
    "how_far_off",
    "loss_gradient",
    "train_five_seeds",
]
