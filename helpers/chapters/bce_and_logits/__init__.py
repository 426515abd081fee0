"""What a notebook imports: the chapter on binary cross-entropy."""

from helpers.chapters.bce_and_logits import check
from helpers.chapters.bce_and_logits.training import LogitsTraining
from helpers.chapters.bce_and_logits.widget import BceExplorer

__all__ = ["BceExplorer", "LogitsTraining", "check"]
