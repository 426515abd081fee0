"""What a notebook imports: the chapter on mixed precision."""

from helpers.chapters.mixed_precision import check
from helpers.chapters.mixed_precision.training import ScalerTraining
from helpers.chapters.mixed_precision.widget import LossScale

__all__ = ["LossScale", "ScalerTraining", "check"]
