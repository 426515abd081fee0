// Shared by the boxes: this text stands between core.js and each box's own script.

const SIGNS = { hint: "✗ Hint:", correct: "✓ Correct:" };
const ROLES = { hint: "pitfall", correct: "correct" };

// A button, and the line that shows what `ask` then returns: [state, text].
function checker(untried, ask) {
  const result = el("p", { "aria-live": "polite" });
  const show = (text, role) => {
    result.textContent = text;
    result.className = role;
  };
  const check = () => {
    const [state, text] = ask();
    show(`${SIGNS[state]} ${text}`, `mp-${ROLES[state]}`);
  };
  return {
    result,
    check,
    button: el("button", { type: "button", onclick: check }, "Check"),
    reset: () => show(`○ Not yet: ${untried}`, ""),
  };
}

function values(model, names) {
  return Object.fromEntries(names.map((name) => [name, model.get(name)]));
}
