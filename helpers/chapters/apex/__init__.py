"""What a notebook imports: the chapter on apex."""

from helpers.chapters.apex import check
from helpers.chapters.apex.widget import ApexDiff

__all__ = ["ApexDiff", "check"]
