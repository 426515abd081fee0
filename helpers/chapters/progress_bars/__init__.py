"""What a notebook imports: the chapter on progress bars."""

from helpers.chapters.progress_bars import check
from helpers.chapters.progress_bars.stage import Terminal, fake_clock
from helpers.chapters.progress_bars.widget import EtaSmoothing

__all__ = ["EtaSmoothing", "Terminal", "check", "fake_clock"]
