"""What a notebook imports: the chapter on the dimension of softmax."""

from helpers.chapters.softmax_dim import check
from helpers.chapters.softmax_dim.training import BatchSoftmaxTraining
from helpers.chapters.softmax_dim.widget import SoftmaxDim

__all__ = ["BatchSoftmaxTraining", "SoftmaxDim", "check"]
