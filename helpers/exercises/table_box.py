"""Yes or no for each cell of a table, checked in the page, with a kernel or without one."""

from traitlets import List

from helpers.exercises.box import Box
from helpers.exercises.verdicts import SIGNS


class AnswerTable(Box):
    """Ask which cells of a table are true, and answer with praise or a hint.

    Made by :class:`helpers.exercises.table.TableCheck`, with one hint for each column; a
    chapter does not call it.
    """

    label = f"{SIGNS['not yet']} put strings instead of the dots. Answer table"
    height_px = (441, 500)  # for six rows of three

    columns = List().tag(sync=True)
    rows = List().tag(sync=True)
    answer = List().tag(sync=True)  # a list of bools for each row
