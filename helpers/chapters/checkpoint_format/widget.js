const PARTS = [
  ["model", "model"],
  ["optimizer", "optimizer"],
  ["scheduler", "scheduler"],
  ["scaler", "scaler"],
  ["rng", "random state"],
];
const CHOSEN = PARTS.slice(1).map(([name]) => name);

// What a resumed run did: its losses, the distance of its weights from the whole run's, whether
// they are the same, and the size of its file.
export function resumed(runs, taken) {
  const name = CHOSEN.map((part) => (taken[part] ? 1 : 0)).join("");
  const [curve, gap, same, kilobytes] = runs.resumed[name];
  return { curve, gap, same, kilobytes };
}

function render({ model, el: host }) {
  const runs = model.get("runs");
  const boxes = PARTS.map(([name, text]) => {
    const input = el("input", {
      type: "checkbox",
      disabled: name === "model",
      onchange: () => {
        const taken = input.checked;
        update(model, "guess", null); // another file, another guess
        update(model, name, taken);
      },
    });
    const size = el("span", { class: "mp-soft" }, `${format(runs.kilobytes[name], 1)} KB`);
    return { name, input, root: el("label", {}, input, text, size) };
  });
  const guess = choice(
    "Final weights",
    [
      ["same", "the same bits"],
      ["other", "other weights"],
    ],
    (value) => update(model, "guess", value),
  );
  const [prompt, frame, answer] = [
    el("p", { "aria-live": "polite" }),
    el("div", { class: "mp-large" }),
    el("p", { "aria-live": "polite" }),
  ];
  const chart = plot({
    title: "training loss",
    x: [4, 8],
    y: [0.25, 0.65],
    xTicks: [4, 5, 6, 7, 8],
    yTicks: [0.3, 0.4, 0.5, 0.6],
    xLabel: "epoch; the file is saved after 4",
  });
  frame.append(chart.root);
  const whole = runs.whole.slice(3); // from the epoch after which the file is saved
  const points = (losses) => losses.map((loss, i) => [4 + i, loss]);
  const key = el("span", { "aria-hidden": "true" });

  function paint() {
    const taken = Object.fromEntries(CHOSEN.map((name) => [name, model.get(name)]));
    for (const { name, input } of boxes) input.checked = name === "model" || taken[name];
    const { curve, gap, same, kilobytes } = resumed(runs, taken);
    const guessed = model.get("guess");
    guess.set(guessed);
    prompt.textContent =
      `The file has ${format(kilobytes, 1)} KB. A new process loads it and trains epochs 5 to 8. ` +
      "Does it end with the weights of the run that was never stopped?";
    const never = { role: "reference", points: points(whole) };
    const role = same ? "correct" : "pitfall";
    key.className = `mp-key mp-${guessed === null ? "pitfall" : role}`;
    if (guessed === null) {
      chart.draw([never]);
      chart.dots([]);
      answer.textContent = "Choose what is in the file, then your answer.";
      return;
    }
    chart.draw([never, { role, points: points([whole[0], ...curve]) }]);
    chart.dots([{ role, at: [8, curve[3]] }]);
    const right = guessed === (same ? "same" : "other");
    const verdict = right ? "✓ Right" : "✗ Wrong";
    const [there, here] = [whole[4], curve[3]].map((loss) => format(loss, 3));
    const losses = ` Last loss ${here}, never stopped ${there}.`;
    answer.replaceChildren(
      el(
        "strong",
        { class: right ? "mp-correct" : "mp-pitfall" }, // the sign is that of the answer
        same
          ? `${verdict}: they end the same, bit for bit.`
          : `${verdict}: they end ${format(gap, 2)} apart.`,
      ),
      same ? "" : losses, // two lines at 320 px, as before the answer
    );
  }
  host.append(
    el(
      "div",
      { class: "mp", role: "group", "aria-label": "Resumed run" },
      controls(
        el(
          "fieldset",
          {},
          el("legend", {}, "In the file"),
          el("div", { class: "mp-row" }, ...boxes.map((box) => box.root)),
        ),
        guess.root,
      ),
      prompt,
      frame,
      el(
        "p",
        { class: "mp-row" },
        el(
          "span",
          {},
          el("span", { class: "mp-key mp-reference", "aria-hidden": "true" }),
          "never stopped",
        ),
        el("span", {}, key, "resumed"),
      ),
      answer,
    ),
  );
  return follow(model, [...CHOSEN, "guess"], paint);
}

export default { render };
