"""What a notebook imports: the chapter on progress bars."""

from helpers.chapters.progress_bars import check
from helpers.chapters.progress_bars.eta import EtaSmoothing
from helpers.chapters.progress_bars.stage import Terminal, bar_after, time_left, watched
from helpers.chapters.progress_bars.widget import LastBatch

__all__ = [
    "EtaSmoothing",
    "LastBatch",
    "Terminal",
    "bar_after",
    "check",
    "time_left",
    "watched",
]
