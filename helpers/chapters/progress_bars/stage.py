"""A clock that the code moves, and a screen that can be read: repeatable bars."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from weakref import WeakSet


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
    before = std.time, bar.monitor_interval, bar._instances
    clock._wake = lambda: _monitor(clock)
    clock._every_s = bar.monitor_interval or math.inf  # 0 inside another fake clock
    std.time, bar.monitor_interval = clock.time, 0
    bar._instances = WeakSet()  # bars left open elsewhere would take up lines here
    try:
        yield clock
    finally:
        std.time, bar.monitor_interval, bar._instances = before


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


def bar_after(steps: int, iterable: Iterable, seconds: float = 0.65, **settings) -> str:
    """Return what a bar says when some batches of its loop are done.

    Args:
        steps: after how many batches to look; the finished bar if there are fewer.
        iterable: what tqdm is put around.
        seconds: how long each batch takes, by a clock of its own.
        **settings: for tqdm.

    Example:
        >>> bar_after(3, range(8))
        ' 38%|###7      | 3/8 [00:01<00:03,  1.54it/s]'
    """
    from tqdm import tqdm

    screen = Terminal()
    with fake_clock() as clock:
        for done, _ in enumerate(tqdm(iterable, file=screen, **settings)):
            if done == steps:
                return screen.text()
            clock.sleep(seconds)
    return screen.text()


def watched(
    steps: int,
    seconds: float,
    each: Callable | None = None,
    interactive: bool = True,
    **settings,
) -> Terminal:
    """Run a bar to its end, and return the screen on which it was drawn.

    Args:
        steps: how many batches there are.
        seconds: how long each of them takes, by a clock of its own.
        each: called with the bar in each batch.
        interactive: False for a log file.
        **settings: for tqdm.

    Example:
        >>> watched(100, 0.01).draws
        11
    """
    from tqdm import tqdm

    screen = Terminal(interactive)
    with fake_clock() as clock:
        bar = tqdm(range(steps), file=screen, **settings)
        for _ in bar:
            if each:
                each(bar)
            clock.sleep(seconds)
    return screen


def time_left(seconds: Sequence[float], **settings) -> list[float]:
    """Return the seconds to go by a bar, after each batch of a run.

    Args:
        seconds: how long each batch takes.
        **settings: for tqdm.

    Example:
        >>> time_left([1.0, 1.0, 1.0])
        [2.0, 1.0, 0.0]
    """
    from tqdm import tqdm

    left = []
    with fake_clock() as clock, tqdm(seconds, file=Terminal(), **settings) as bar:
        for s in seconds:
            clock.sleep(s)
            bar.update()
            now = bar.format_dict
            rate = now["rate"] or now["n"] / now["elapsed"]
            left.append((now["total"] - now["n"]) / rate)
    return left
