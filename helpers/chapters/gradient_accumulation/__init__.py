"""The stage of the chapter on gradient accumulation."""

from helpers.chapters.gradient_accumulation import check
from helpers.chapters.gradient_accumulation.ranks import (
    count_all_reduces,
    print_from_two_ranks,
)
from helpers.chapters.gradient_accumulation.stage import (
    difference,
    factors_in,
    five_runs,
    gradient,
    gradient_of,
)
from helpers.chapters.gradient_accumulation.widget import AccumulationCuts

__all__ = [
    "AccumulationCuts",
    "check",
    "count_all_reduces",
    "difference",
    "factors_in",
    "five_runs",
    "gradient",
    "gradient_of",
    "print_from_two_ranks",
]
