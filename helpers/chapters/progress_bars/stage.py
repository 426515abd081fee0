"""A clock that the code moves, and a screen that can be read: repeatable bars."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """A clock that stands still until :meth:`sleep` moves it.

    Attributes:
        now_s: the time in seconds, from 0.
    """

    def __init__(self) -> None:
        self.now_s = 0.0
        self._wake, self._every_s = None, math.inf

    def time(self) -> float:
        """Return the time in seconds, as :func:`time.time` does."""
        return self.now_s

    def sleep(self, seconds: float) -> None:
        """Move the clock at once, instead of waiting.

        Args:
            seconds: 0 or more, and finite.
        """
        end = self.now_s + seconds
        while (wake := (self.now_s // self._every_s + 1) * self._every_s) <= end:
            self.now_s = wake
            self._wake()
        self.now_s = end


class _OneRound:
    """Replaces the event that ends tqdm's monitor: it ends after one round."""

    def __init__(self) -> None:
        self.waits = 0

    def wait(self, seconds: float) -> None:
        self.waits += 1

    def is_set(self) -> bool:
        return self.waits > 1


def _monitor(clock: Clock) -> None:
    """Run one round of tqdm's own monitor at the clock's time, without its thread."""
    from tqdm import TMonitor, std

    monitor = TMonitor.__new__(TMonitor)
    monitor.tqdm_cls, monitor.sleep_interval = std.tqdm, 0
    monitor._time, monitor.was_killed = clock.time, _OneRound()
    monitor.run()


@contextmanager
def fake_clock() -> Iterator[Clock]:
    """Let tqdm's bars read a clock that stands still until the code moves it.

    Rate, time left and smoothing are then the same on every machine. Bars must be made
    and used inside the block. tqdm's own clock is back afterwards. Its background thread
    would mix in real time: it is stopped, and the clock does its work: it looks at all
    bars every ten seconds. The next bar outside the block restarts the thread.

    Returns:
        A context manager that gives a :class:`Clock`.

    Example:
        >>> from tqdm import tqdm
        >>> screen = Terminal()
        >>> with fake_clock() as clock:
        ...     for _ in tqdm(range(4), file=screen):
        ...         clock.sleep(0.5)
        >>> screen.text()
        '100%|##########| 4/4 [00:02<00:00,  2.00it/s]'
    """
    from tqdm import std

    bar, clock = std.tqdm, Clock()
    if bar.monitor is not None:
        bar.monitor.exit()
        bar.monitor = None
    before = std.time, bar.monitor_interval
    clock._wake = lambda: _monitor(clock)
    clock._every_s = bar.monitor_interval or math.inf  # 0 inside another fake clock
    std.time, bar.monitor_interval = clock.time, 0
    try:
        yield clock
    finally:
        std.time, bar.monitor_interval = before


class Terminal(io.StringIO):
    """A screen for ``tqdm(..., file=screen)`` that says what a reader would see.

    It knows the three moves that bars use: to the start of the line, to a new line, and
    a line up.

    Args:
        interactive: what ``isatty()`` answers; False for a log file or a pipe.

    Example:
        >>> screen = Terminal()
        >>> print("10%", end="\\r20%", file=screen)
        >>> screen.text(), screen.draws
        ('20%', 1)
    """

    def __init__(self, interactive: bool = True) -> None:
        super().__init__()
        self._interactive = bool(interactive)

    def isatty(self) -> bool:
        """Return whether a person is watching."""
        return self._interactive

    @property
    def draws(self) -> int:
        """How often something went back to the start of its line, to draw again."""
        return self.getvalue().count("\r")

    def text(self) -> str:
        """Return what the screen shows, without spaces at the ends of lines."""
        rows, row, column = [""], 0, 0
        for part in re.findall(r"\x1b\[A|\r|\n|[^\r\n\x1b]+", self.getvalue()):
            if part == "\r":
                column = 0
            elif part == "\n":
                row, column = row + 1, 0
                rows += [""] * (row + 1 - len(rows))
            elif part == "\x1b[A":
                row = max(row - 1, 0)
            else:
                old = rows[row].ljust(column)
                column += len(part)
                rows[row] = old[: column - len(part)] + part + old[column:]
        return "\n".join(line.rstrip() for line in rows).rstrip("\n")
