"""What each byte of a checkpoint is, in three formats, and what the safe loader says."""

from __future__ import annotations

from traitlets import Enum, Int, List, TraitError, Unicode, validate

from helpers.chapters.checkpoint_format import stage
from helpers.chapters.checkpoint_format.stage import FORMATS
from helpers.widgets.base import BookWidget
from helpers.widgets.traits import Fixed

SHOWN = 64  # bytes of a part that are recorded


def _recorded_parts() -> dict[str, list]:
    """Return the parts of a file in each format, each with its first bytes in hex."""
    return {
        name: [
            [*part, data[part[0] : min(part[1], part[0] + SHOWN)].hex()]
            for part in stage.regions(name, data)
        ]
        for name, data in stage.tiny_files().items()
    }


def _refused_names() -> list[list]:
    """Return what the safe loader refuses of each object, in their order."""
    return [[name, names] for name, names in stage.verdicts().items()]


class CheckpointBytes(BookWidget):
    """Show the parts of a checkpoint file, and what the safe loader makes of objects.

    Args:
        format: ``"zip"``, ``"legacy"`` or ``"safetensors"``.
        region: which part of the file is shown, from 0.
        chosen: names of what is put into the file, from ``checkpoint_samples.objects``.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Checkpoint explorer"
    height_px = (818, 918)

    format = Enum(FORMATS, "zip").tag(sync=True)
    region = Int(0).tag(sync=True)
    chosen = List(Unicode(), ["model.state_dict()"]).tag(sync=True)
    files = Fixed(_recorded_parts).tag(sync=True)
    refused = Fixed(_refused_names).tag(sync=True)
    held = Fixed(stage.held_by_safetensors).tag(sync=True)

    @validate("region")
    def _in_file(self, proposal):
        last = len(self.files[self.format]) - 1
        if not 0 <= proposal["value"] <= last:
            raise TraitError(
                f"CheckpointBytes: region must be from 0 to {last} for {self.format}, "
                f"got {proposal['value']}."
            )
        return proposal["value"]

    @validate("chosen")
    def _known(self, proposal):
        known = [name for name, _ in self.refused]  # a list keeps its order when stored
        for name in proposal["value"]:
            if name not in known:
                raise TraitError(
                    f"CheckpointBytes: chosen must be of {', '.join(known)}; "
                    f"got {name!r}."
                )
        return proposal["value"]
