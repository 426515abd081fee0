"""What a notebook imports: the chapter on gradient accumulation."""

from helpers.chapters.gradient_accumulation import check
from helpers.chapters.gradient_accumulation.stage import (
    ClippedSGD,
    find_factors,
    gradient,
    how_far_off,
    loss_gradient,
)
from helpers.chapters.gradient_accumulation.training import AccumulationTraining
from helpers.chapters.gradient_accumulation.widget import AccumulationCut

__all__ = [
    "AccumulationCut",
    "AccumulationTraining",
    "ClippedSGD",
    "check",
    "find_factors",
    "gradient",
    "how_far_off",
    "loss_gradient",
]
