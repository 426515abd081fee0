"""What is in a checkpoint file, told without trusting it: three public names."""

from helpers.checkpoints.describe import CheckpointError, describe_checkpoint
from helpers.checkpoints.report import Checkpoint

__all__ = ["Checkpoint", "CheckpointError", "describe_checkpoint"]
