"""What a notebook imports: the chapter on loading state dicts."""

from helpers.chapters.load_state_dict import check
from helpers.chapters.load_state_dict.widget import KeyMatcher

__all__ = ["KeyMatcher", "check"]
