"""How much memory a room takes, from what was measured."""

from __future__ import annotations

from typing import NamedTuple

import psutil

# Measured with twelve learners at once on one machine of 24 GiB and 2 cores, on Linux, with
# PyTorch 2.15's CUDA build: a server with JupyterLab has 142 MB, and a kernel's own pages are
# 480 MB to 666 MB, by chapter. Of PyTorch's files 345 MB are in memory once for all. The hub,
# its proxy, the board and what ends idle servers have 205 MB.
SERVER_MB, KERNEL_MB, FILES_MB, HUB_MB = 142, 666, 345, 205
LEARNER_GB = 1.0  # one chapter open, and something to spare; an old kernel is more
ONCE_GB = 1.0  # files, hub and proxy, and what the system takes meanwhile


class Room(NamedTuple):
    """What a room needs and what there is, in GB."""

    learners: int
    free: float

    @property
    def needed(self) -> float:
        return self.learners * LEARNER_GB + ONCE_GB

    @property
    def most(self) -> int:
        """How many learners the memory holds."""
        return max(0, int((self.free - ONCE_GB) / LEARNER_GB))

    def sum(self) -> str:
        """Return the sum in words."""
        return (
            f"{self.learners} learners at {LEARNER_GB:g} GB and {ONCE_GB:g} GB once are "
            f"{self.needed:g} GB, and {self.free:.1f} GB of memory are free"
        )


def room(learners: int) -> Room:
    """Return what a number of learners needs on this machine.

    Raises:
        ValueError: if it is not at least 1, or the memory does not hold so many.
    """
    if learners < 1:
        raise ValueError(f"LEARNERS: must be 1 or more, got {learners}.")
    found = Room(learners, psutil.virtual_memory().available / 1e9)
    if learners > found.most:
        raise ValueError(
            f"LEARNERS: {found.sum()}. This machine holds {found.most}: take a larger one, "
            "or let two learners share."
        )
    return found
