"""What a notebook imports: the chapter on mean and standard deviation."""

from helpers.chapters.dataset_mean_std import check
from helpers.chapters.dataset_mean_std.widget import StdDecomposition

__all__ = ["StdDecomposition", "check"]
