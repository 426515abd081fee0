"""What the boxes of an exercise share: a question, its praise and hints, a button."""

from traitlets import List, Unicode

from helpers.widgets.base import BookWidget


class Box(BookWidget):
    """A question on the page; ``box.js`` shows the verdict of its subclass's script."""

    prompt = Unicode().tag(sync=True)
    praise = Unicode().tag(sync=True)
    hints = List().tag(sync=True)
