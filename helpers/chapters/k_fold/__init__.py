"""What a notebook imports: the chapter on k-fold cross-validation."""

from helpers.chapters.k_fold import check, stage
from helpers.chapters.k_fold.widget import FoldLeak

__all__ = ["FoldLeak", "check", "stage"]
