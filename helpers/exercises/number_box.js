// The same verdicts as helpers.exercises.number.NumberCheck.
export function verdict(value, { answer, tolerance, praise, hints }) {
  if (!Number.isFinite(value))
    return ["hint", "type one number, such as 0.5 or 1/2 or 2000, not 2,000."];
  if (Math.abs(value - answer) <= tolerance) return ["correct", praise];
  const fitting = hints.find(([low, high]) => low <= value && value <= high);
  if (fitting) return ["hint", fitting[2]];
  return ["hint", `${value} is too ${value < answer ? "small" : "large"}.`];
}

function render({ model, el: host }) {
  const names = ["answer", "tolerance", "praise", "hints"];
  const { result, check, button, reset } = checker(
    "type a number, or put it into the cell above.",
    () => verdict(parse(input.value), values(model, names)),
  );
  const prompt = el("span", { style: "flex: 1 0 100%" });
  const input = el("input", {
    type: "text",
    inputmode: "decimal",
    autocomplete: "off",
    onkeydown: (event) => {
      if (event.key === "Enter") check();
    },
  });
  host.append(
    el(
      "div",
      { class: "mp", role: "group", "aria-label": "Answer box" },
      el("label", { style: "flex-wrap: wrap" }, prompt, input, button),
      result,
    ),
  );
  return follow(model, ["prompt", ...names], () => {
    prompt.textContent = model.get("prompt");
    reset();
  });
}

export default { render };
