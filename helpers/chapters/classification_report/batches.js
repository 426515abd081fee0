const SIZES = [1, 450];

const mean = (values) => values.reduce((total, v) => total + v, 0) / values.length;

// The mean F1 of the classes that occur in either list, as scikit-learn's f1_score has it.
export function macroF1(truth, said) {
  return mean(
    [...new Set([...truth, ...said])].map((c) => {
      const hits = truth.filter((t, i) => t === c && said[i] === c).length;
      const all = [...truth, ...said].filter((v) => v === c).length;
      return (2 * hits) / all;
    }),
  );
}

export function accuracy(truth, said) {
  return mean(truth.map((t, i) => Number(t === said[i])));
}

const SCORES = { "macro F1": macroF1, accuracy };

// By true class, or thrown together as a fixed series of random numbers has it.
export function ordered(truth, said, order) {
  const places = truth.map((_, i) => i).sort((a, b) => truth[a] - truth[b] || a - b);
  let state = 1;
  for (let i = places.length - 1; order === "shuffled" && i > 0; i -= 1) {
    state = (48271 * state) % 2147483647;
    const j = Math.floor((state / 2147483647) * (i + 1));
    [places[i], places[j]] = [places[j], places[i]];
  }
  return [truth, said].map((list) => places.map((i) => list[i]));
}

export function meanOverBatches(truth, said, size, score) {
  const scores = [];
  for (let i = 0; i < truth.length; i += size)
    scores.push(SCORES[score](truth.slice(i, i + size), said.slice(i, i + size)));
  return mean(scores);
}

function render({ model, el: host }) {
  const place = (value) => update(model, "size", Math.round(value));
  const again = (name) => (value) => {
    update(model, "guess", null); // another curve, another guess
    update(model, name, value);
  };
  const order = choice(
    "Samples",
    [
      ["sorted", "sorted by class"],
      ["shuffled", "shuffled"],
    ],
    again("order"),
  );
  const score = choice(
    "Score",
    [
      ["macro F1", "macro F1"],
      ["accuracy", "accuracy"],
    ],
    again("score"),
  );
  const prompt = el("p", { "aria-live": "polite" });
  const frame = el("div", { class: "mp-large" });
  const size = slider("Batch size", { min: SIZES[0], max: SIZES[1], step: 1 }, (value) => {
    if (Number.isInteger(value)) place(value);
  });
  const lock = el("button", {
    type: "button",
    onclick: () => update(model, "guess", model.get("guess") === null ? model.get("size") : null),
  });
  const cells = [0, 1].map(() => [0, 1].map(() => el("td")));
  const heads = [
    ["pitfall", "mean over batches"],
    ["correct", "once for all"],
  ].map(([role, name]) =>
    el(
      "th",
      { scope: "col", class: `mp-${role}` },
      el("span", { class: `mp-key mp-${role}`, "aria-hidden": "true" }),
      name,
    ),
  );
  const row = (name, i) => el("tr", {}, el("th", { scope: "row" }, name), ...cells[i]);
  const table = el(
    "table",
    { "aria-live": "polite" },
    el("thead", {}, el("tr", {}, el("td"), ...heads)),
    el("tbody", {}, row("at your guess", 0), row("now", 1)),
  );
  const reset = resetButton(model, {
    guess: null,
    order: "sorted",
    score: "macro F1",
    size: 100,
  });
  let [curve, once, chart] = [[], 0, null];

  function redraw() {
    const [chosen, what, guess] = ["order", "score", "guess"].map((name) => model.get(name));
    const [truth, said] = ordered(model.get("truth"), model.get("said"), chosen);
    once = SCORES[what](truth, said);
    curve = Array.from({ length: SIZES[1] }, (_, i) => [
      i + 1,
      meanOverBatches(truth, said, i + 1, what),
    ]);
    order.set(chosen);
    score.set(what);
    lock.textContent = guess === null ? "Lock my guess" : "Guess again";
    const distance = ([, mean]) => Math.abs(mean - once);
    const farthest = curve.reduce((a, b) => (distance(b) > distance(a) ? b : a));
    const off = (point) => format(distance(point), 3);
    prompt.textContent =
      guess === null
        ? "Which batch size takes the mean farthest from the value for all? " +
          "Put the dotted line there, then lock your guess."
        : `Your guess: ${guess}. There the mean is ${off(curve[guess - 1])} away; it is ` +
          `farthest at ${farthest[0]}, by ${off(farthest)}. Now drag the line.`;
    chart = plot({
      title: what,
      x: SIZES,
      xTicks: [1, 150, 300, 450],
      xLabel: "batch size",
      y: [0, 1.05],
      yTicks: [0, 0.5, 1],
      onpick: place,
    });
    if (guess !== null)
      chart.draw([
        { role: "correct", points: SIZES.map((n) => [n, once]) },
        { role: "pitfall", points: curve },
      ]);
    frame.replaceChildren(chart.root);
    move();
  }

  function move() {
    const [guess, now] = ["guess", "size"].map((name) => model.get(name));
    size.set(now);
    chart.mark(now);
    [guess, now].forEach((n, i) => {
      const hidden = guess === null;
      cells[i][0].textContent = hidden ? "–" : format(curve[n - 1][1], 3);
      cells[i][1].textContent = hidden ? "–" : format(once, 3);
    });
    chart.dots(guess === null ? [] : [{ role: "pitfall", at: curve[now - 1] }]);
  }

  host.append(
    el(
      "div",
      { class: "mp", role: "group", "aria-label": "Batch explorer" },
      el("div", { class: "mp-row" }, order.root, score.root, reset),
      prompt,
      frame,
      size.root,
      el("div", { class: "mp-row" }, lock),
      table,
    ),
  );
  const stops = [
    follow(model, ["truth", "said", "order", "score", "guess"], redraw),
    follow(model, ["size"], move),
  ];
  return () => stops.forEach((stop) => stop());
}

export default { render };
