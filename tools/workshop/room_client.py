"""Tells the board of a room what a check answered: runs when a kernel of the room starts.

The hub copies this file into each learner's home. Without the two variables that it sets,
nothing is heard and nothing is sent. A board that is slow or gone slows no cell.
"""

import contextlib
import json
import os
import re
import threading
import urllib.request

SHELL = get_ipython()  # noqa: F821, the kernel's
BOARD, SEAT = (os.environ.get(f"MEASURED_PYTORCH_{name}") for name in ("BOARD", "SEAT"))
# What a box shows on the page is told to the kernel: notebooks store the box's own script,
# so it stays as it is, and this is put around it.
LAST_LINE = "export default { render };"
TELLING = """
function telling(inner) {
  return (context) => {
    const end = inner(context);
    const line = context.el.querySelector("[aria-live]");
    new MutationObserver(() => {
      const state = { "✗": "hint", "✓": "correct" }[line.textContent[0]];
      if (state) context.model.send({ state });
    }).observe(line, { childList: true });
    return end;
  };
}
export default { render: telling(render) };
"""


def tell(exercise, state):
    """Report a state in the background; what goes wrong is nobody's business."""
    body = json.dumps({"seat": SEAT, "exercise": exercise, "state": state}).encode()

    def post():
        with contextlib.suppress(OSError):
            urllib.request.urlopen(BOARD, body, timeout=2).close()

    threading.Thread(target=post, daemon=True).start()


def listen(box, exercise):
    """Report what a box answers on the page, from now on."""
    if LAST_LINE in box._esm:
        box._esm = box._esm.replace(LAST_LINE, TELLING)
    box.on_msg(lambda _, message, __: tell(exercise, message.get("state")))


def heard(result):
    """Look whether a cell's last line called a check, and report its answer."""
    if not result.success or result.result is None:
        return
    called = re.findall(r"\bcheck\.(\w+)\(", result.info.raw_cell)
    module = getattr(SHELL.user_ns.get("check"), "__name__", "")
    parts = module.split(".")
    if not called or parts[:2] != ["helpers", "chapters"]:
        return
    exercise = f"{parts[2]}.{called[-1]}"
    state = getattr(result.result, "state", None)
    if isinstance(state, str):
        tell(exercise, state)
    elif hasattr(result.result, "prompt"):
        listen(result.result, exercise)
        tell(exercise, "not yet")


if BOARD and SEAT:
    SHELL.events.register("post_run_cell", heard)
