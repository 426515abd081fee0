"""What a notebook imports: the chapter on k-fold cross-validation."""

from helpers.chapters.k_fold import check, stage
from helpers.chapters.k_fold.training import FoldTraining

__all__ = ["FoldTraining", "check", "stage"]
