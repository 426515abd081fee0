"""What a notebook imports: the chapter on modes and gradients."""

from helpers.chapters.train_eval_no_grad import check
from helpers.chapters.train_eval_no_grad.widget import ModeExplorer

__all__ = ["ModeExplorer", "check"]
