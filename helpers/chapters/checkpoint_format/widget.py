"""What each byte of a checkpoint is, in three formats, and what the safe loader says."""

from __future__ import annotations

from traitlets import Dict, Enum, Int, List, TraitError, default, validate

from helpers.chapters.checkpoint_format import stage
from helpers.chapters.checkpoint_format.stage import FORMATS
from helpers.widgets.base import BookWidget, fresh_list

SHOWN = 64  # bytes of a part that are recorded


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
    height_px = (783, 940)

    format = Enum(FORMATS, "zip").tag(sync=True)
    region = Int(0).tag(sync=True)
    chosen = fresh_list(lambda: ["model.state_dict()"])
    files = Dict(help="made by torch and safetensors, not to be set").tag(sync=True)
    refused = List(help="pairs measured with torch, not to be set").tag(sync=True)

    held = List(help="measured with safetensors, not to be set").tag(sync=True)

    @default("files")
    def _by_torch(self) -> dict:
        made = {}
        for name, data in stage.tiny_files().items():
            made[name] = [
                [*part, data[part[0] : min(part[1], part[0] + SHOWN)].hex()]
                for part in stage.regions(name, data)
            ]
        return made

    @default("refused")
    def _measured(self) -> list:
        return [[name, names] for name, names in stage.verdicts().items()]

    @default("held")
    def _measured_too(self) -> list:
        return stage.held_by_safetensors()

    @validate("files", "refused", "held")
    def _unchanged(self, proposal):
        name = proposal["trait"].name
        makers = {"files": self._by_torch, "refused": self._measured}
        made = makers.get(name, self._measured_too)()
        if proposal["value"] != made:
            raise TraitError(f"CheckpointBytes: {name} is measured and cannot be set.")
        return made

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
