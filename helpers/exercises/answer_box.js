
// The same verdicts as helpers.exercises.verdicts.NumberCheck.
export function verdict(value, { answer, tolerance, praise, hints }) {
  if (!Number.isFinite(value)) return ["hint", "type one number, such as 0.5 or 1/2 or 2000."];
  if (Math.abs(value - answer) <= tolerance) return ["correct", praise];
  const fitting = hints.find(([low, high]) => low <= value && value <= high);
  if (fitting) return ["hint", fitting[2]];
  return ["hint", `${value} is too ${value < answer ? "small" : "large"}.`];
}

const SIGNS = { hint: "✗ Hint:", correct: "✓ Correct:" };
const ROLES = { hint: "pitfall", correct: "correct" };

function render({ model, el: host }) {
  const spec = () => Object.fromEntries(["answer", "tolerance", "praise", "hints"].map((k) => [k, model.get(k)]));
  const result = el("p", { "aria-live": "polite" }, "○ Not yet: type a number, or put it into the cell above.");
  const check = () => {
    const [state, text] = verdict(parse(input.value), spec());
    result.className = `mp-${ROLES[state]}`;
    result.textContent = `${SIGNS[state]} ${text}`;
  };
  const prompt = el("span", { style: "flex: 1 0 100%" });
  const input = el("input", { type: "text", inputmode: "decimal", autocomplete: "off",
    onkeydown: (event) => { if (event.key === "Enter") check(); } });
  const button = el("button", { type: "button", onclick: check }, "Check");
  host.append(el("div", { class: "mp", role: "group", "aria-label": "Answer box" },
    el("label", { style: "flex-wrap: wrap" }, prompt, input, button), result));
  return follow(model, ["prompt"], () => { prompt.textContent = model.get("prompt"); });
}

export default { render };
