"""The stage of the chapter new_tip."""

from helpers.chapters.new_tip import check
from helpers.chapters.new_tip.widget import NewTip

__all__ = ["NewTip", "check"]
