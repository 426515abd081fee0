"""What a notebook imports: the chapter on FLOPs and parameters."""

from helpers.chapters.flops_and_params import check
from helpers.chapters.flops_and_params.widget import LayerCost

__all__ = ["LayerCost", "check"]
