"""Which entry of a state dict finds which entry of the model, after a repair of its keys."""

from traitlets import Bool, Enum, Unicode

from helpers.widgets.base import BookWidget
from helpers.widgets.traits import Whole

FILES = ["plain", "module", "both", "fc", "5 classes", "checkpoint"]
PLACES = ["nowhere", "anywhere", "beginning"]


class KeyMatcher(BookWidget):
    """Let a reader repair the keys of a file, guess what loads, and see what does.

    Args:
        file: what was saved: ``"plain"``, ``"module"`` (of a DataParallel), ``"both"``
            (of a compiled one), ``"fc"`` (the last layer has another name),
            ``"5 classes"`` (another shape) or ``"checkpoint"`` (nested).
        place: where in a key ``word`` becomes ``by``: ``"nowhere"``, ``"anywhere"`` or
            ``"beginning"``.
        word: a text to replace.
        by: what stands there instead.
        strict: as of ``load_state_dict``.
        guess: how many entries load, or None while the answer is hidden.

    Raises:
        TypeError: for a setting that it does not have.
        traitlets.TraitError: for a value that the setting cannot take.
    """

    label = "Key matcher"
    height_px = (732, 972)

    file = Enum(FILES, "module").tag(sync=True)
    place = Enum(PLACES, "nowhere").tag(sync=True)
    word = Unicode("module.").tag(sync=True)
    by = Unicode("").tag(sync=True)
    strict = Bool(False).tag(sync=True)
    guess = Whole(None, allow_none=True, min=0, max=6).tag(sync=True)
