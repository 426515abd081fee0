"""What a notebook imports: the chapter on checkpoint files."""

from helpers.chapters.checkpoint_format import check
from helpers.chapters.checkpoint_format.stage import DigitsRun, objects
from helpers.chapters.checkpoint_format.widget import ResumedRun

__all__ = ["DigitsRun", "ResumedRun", "check", "objects"]
