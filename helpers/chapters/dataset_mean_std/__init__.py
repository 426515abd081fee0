"""What a notebook imports: the chapter on the mean and std of a dataset."""

from helpers.chapters.dataset_mean_std import check
from helpers.chapters.dataset_mean_std.widget import StdExplorer

__all__ = ["StdExplorer", "check"]
