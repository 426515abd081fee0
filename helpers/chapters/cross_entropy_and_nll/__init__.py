"""What a notebook imports: the chapter on cross-entropy."""

from helpers.chapters.cross_entropy_and_nll import check
from helpers.chapters.cross_entropy_and_nll.widget import CrossEntropyMargin

__all__ = ["CrossEntropyMargin", "check"]
