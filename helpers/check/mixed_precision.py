"""Checks of the chapter on mixed precision."""

from helpers.check.core import Hint, NumberCheck, Verdict, correct, hint, not_yet

smallest_scale = NumberCheck(
    prompt="Which is the smallest power of two that keeps 1e-8 from becoming 0 in float16?",
    answer=4,
    tolerance=0,
    praise="4e-8 is nearer to 2^-24 = 6e-8 than to 0, so it is rounded up. It keeps no "
    "digit of its own: for all eleven bits it must reach 2^-14.",
    hints=[
        Hint(8, 8, "that works, and a smaller one does too: think of rounding."),
        Hint(5, 7, "a power of two, please; and think of rounding to the nearest."),
        Hint(8192, 8192, "that makes it a normal number. Less keeps it from 0."),
        Hint(1, 2, "2e-8 is nearer to 0 than to 6e-8, the smallest number above 0."),
        Hint(3, 3, "that would do, but a power of two is asked for."),
    ],
)

RIGHT = "BDEAC"
WHY = {
    "BD": "the gradients must exist before anything is done to them: B comes first.",
    "DE": "clip the true gradients, not those that are thousands of times too large: "
    "D before E.",
    "EA": "E must come before A: it has to change the gradients that the step uses.",
    "AC": "C decides from what the step has found, inf or not: it comes last.",
}


def order(answer: object) -> Verdict:
    """Check the order of five lines of a training step.

    Args:
        answer: the letters A to E, as a string or a list.
    """
    if answer is ... or answer is None:
        return not_yet("put five letters in place of the dots.")
    try:
        given = "".join(answer).upper().replace(" ", "").replace(",", "")
    except TypeError:
        return hint(f"write five letters, got {answer!r}.")
    if sorted(given) != sorted(RIGHT):
        return hint(f"write each of A, B, C, D and E once, got {given!r}.")
    for (first, second), why in WHY.items():
        if given.index(first) > given.index(second):
            return hint(why)
    return correct(
        "scaled gradients, true gradients, short gradients, step, new scale."
    )


scale = NumberCheck(
    prompt="The first three steps of a new GradScaler overflow. What is its scale now?",
    answer=8192,
    tolerance=0,
    praise="65,536 halved three times. None of the three batches has moved a weight.",
    hints=[
        Hint(65536, 65536, "that is where it starts. Each inf changes it."),
        Hint(32768, 32768, "that is after one."),
        Hint(16384, 16384, "that is after two."),
        Hint(4096, 4096, "that is after four."),
        Hint(524288, 524288, "on inf it goes down."),
        Hint(21845, 21846, "it is halved each time, not divided by their number."),
        Hint(13, 13, "that is its exponent: the scale is two to this power."),
    ],
)
