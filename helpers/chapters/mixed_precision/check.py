"""Checks of the chapter on mixed precision."""

from helpers.exercises.number import Hint, NumberCheck
from helpers.exercises.verdicts import Verdict, correct, hint, not_yet

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
ADVICE = {
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
        return not_yet("put five letters instead of the dots.")
    try:
        given = "".join(answer).upper().replace(" ", "").replace(",", "")
    except TypeError:
        return hint(f"write five letters, got {answer!r}.")
    if sorted(given) != sorted(RIGHT):
        return hint(f"write each of A, B, C, D and E once, got {given!r}.")
    for (first, second), advice in ADVICE.items():
        if given.index(first) > given.index(second):
            return hint(advice)
    return correct(
        "scaled gradients, true gradients, short gradients, step, new scale."
    )


scale = NumberCheck(
    prompt="Start 4096, backoff factor 0.25, growth interval 2: what is the scale after two "
    "steps that overflow and three that do not?",
    answer=512,
    tolerance=0,
    praise="4096 becomes 1024, then 256; two clean steps double it, and the third only "
    "begins the next interval.",
    hints=[
        Hint(4096, 4096, "that is where it starts. Each inf changes it."),
        Hint(
            256,
            256,
            "that is after the two infs. Clean steps count too: see the interval.",
        ),
        Hint(128, 128, "two clean steps double the scale; they do not halve it."),
        Hint(
            1024,
            1024,
            "two infs, and each multiplies by 0.25; then one interval of two "
            "clean steps is complete.",
        ),
        Hint(
            2048,
            2048,
            "each inf multiplies by 0.25, not by 0.5; and it takes two clean "
            "steps to double.",
        ),
        Hint(131072, 131072, "on inf it goes down."),
        Hint(9, 9, "that is its exponent: the scale is two to this power."),
    ],
)
