"""A table of yes or no, checked in a cell or by ticks on the page."""

from __future__ import annotations

from collections.abc import Mapping

from helpers.exercises.verdicts import correct, hint, not_yet


class TableCheck:
    """A check of which columns are true in each row of a table.

    Called with the stub's ``...`` it returns a table that takes the answer in the page,
    with a kernel or without one; called with a list of strings, one for each row, it returns a
    :class:`~helpers.exercises.verdicts.Verdict`.

    Args:
        prompt: the question in one sentence.
        columns: letter: what it stands for.
        answer: row: the letters that are true there.
        praise: what a right answer shows.
        hints: letter: what to think of where it is wrongly put or wrongly missing.

    Example:
        >>> even = TableCheck("?", {"E": "even"}, {"1": "", "2": "E"}, "Yes.", {"E": "halve."})
        >>> even(["", "E"])
        ✓ Correct: Yes.
        >>> even(["E", "E"])
        ✗ Hint: 1, even: halve.
    """

    def __init__(
        self,
        prompt: str,
        columns: Mapping[str, str],
        answer: Mapping[str, str],
        praise: str,
        hints: Mapping[str, str],
    ) -> None:
        self.prompt, self.columns, self.answer = prompt, dict(columns), dict(answer)
        self.praise, self.hints = praise, dict(hints)

    def box(self):
        """Return the table that is ticked in the page."""
        from helpers.exercises.table_box import AnswerTable

        return AnswerTable(
            prompt=self.prompt,
            columns=list(self.columns.values()),
            rows=list(self.answer),
            answer=[
                [c in right for c in self.columns] for right in self.answer.values()
            ],
            praise=self.praise,
            hints=[self.hints[letter] for letter in self.columns],
        )

    def __call__(self, given: object):
        if given is ... or given is None:
            return self.box()
        count, known = len(self.answer), ", ".join(self.columns)
        if not isinstance(given, (list, tuple)) or len(given) != count:
            return hint(f"write a list of {count} strings, one for each row.")
        for letters, (row, right) in zip(given, self.answer.items(), strict=True):
            if letters is ...:
                return not_yet(f"{row}: put a string instead of the dots.")
            ticked = (
                set(letters.upper()) - set(" ,") if isinstance(letters, str) else {""}
            )
            if ticked - set(self.columns):
                return hint(f"{row}: write a string of {known}, got {letters!r}.")
            for letter, name in self.columns.items():
                if (letter in ticked) != (letter in right):
                    return hint(f"{row}, {name}: {self.hints[letter]}")
        return correct(self.praise)
