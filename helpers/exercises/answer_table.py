"""Yes or no for each cell of a table, checked in the page, with a kernel or without one."""

from traitlets import Unicode

from helpers.widgets.base import BookWidget, fresh_list


class AnswerTable(BookWidget):
    """Ask which cells of a table are true, and answer with praise or a hint.

    Made by :class:`helpers.exercises.table.TableCheck`; a chapter does not call it.
    """

    label = "○ Not yet: put strings in place of the dots. Answer table"
    height_px = (441, 529)  # for six rows of three

    prompt = Unicode().tag(sync=True)
    columns = fresh_list(list)
    rows = fresh_list(list)
    answer = fresh_list(list)  # a list of bools for each row
    praise = Unicode().tag(sync=True)
    hints = fresh_list(list)  # one a column
