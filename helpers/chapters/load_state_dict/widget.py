"""Which entry of a state dict finds which entry of the model, and what that loads."""

from traitlets import Bool, Enum

from helpers.widgets.base import BookWidget

PREFIXES = ["", "module.", "_orig_mod.", "module._orig_mod."]
REPAIRS = ["none", "replace", "removeprefix", "loop"]
HEADS = ["head", "fc", "5 classes"]


class KeyMatcher(BookWidget):
    """Match the keys of a state dict with a model's, as ``load_state_dict`` does.

    Args:
        prefix: what stands before each key of the state dict: ``""``, ``"module."``,
            ``"_orig_mod."`` or ``"module._orig_mod."``.
        repair: what is done to its keys: ``"none"``, ``"replace"`` (of ``"module."``
            anywhere), ``"removeprefix"`` (of ``"module."``), or ``"loop"`` (of both
            prefixes, until none is left).
        head: its last layer: ``"head"`` as in the model, ``"fc"`` (another name), or
            ``"5 classes"`` (another shape).
        rename: whether ``fc.`` at the beginning of a key becomes ``head.``.
        strict: as of ``load_state_dict``.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Key matcher"
    height_px = (781, 1091)

    prefix = Enum(PREFIXES, "module.").tag(sync=True)
    repair = Enum(REPAIRS, "none").tag(sync=True)
    head = Enum(HEADS, "head").tag(sync=True)
    rename = Bool(False).tag(sync=True)
    strict = Bool(False).tag(sync=True)
