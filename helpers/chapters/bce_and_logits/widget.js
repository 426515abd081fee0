const RANGE = [-100, 100];
const AXES = {
  gradient: { y: [-1.05, 1.05], yTicks: [-1, 0, 1] },
  loss: { y: [0, 105], yTicks: [0, 50, 100] },
};

// The logit of the mistaken side from which sigmoid + BCELoss sends less than half of the
// gradient that it owes.
export function cliff(y) {
  const side = y ? -1 : 1;
  let [low, high] = [0, 100];
  while (high - low > 1e-6) {
    const middle = (low + high) / 2;
    const share = bceGradient(side * middle, y) / logitsGradient(side * middle, y);
    if (share < 0.5) high = middle;
    else low = middle;
  }
  return side * high;
}

export function samples(f, y, [low, high], count = 800) {
  return Array.from({ length: count + 1 }, (_, i) => low + ((high - low) * i) / count).map((x) => [
    x,
    f(x, y),
  ]);
}

function question(y, guess) {
  if (guess === null)
    return (
      `The truth is class ${y}. From which logit ${y ? "down" : "up"} does sigmoid + BCELoss ` +
      "send less than half of the gradient that it should? Put the dotted line there, then " +
      "lock your guess."
    );
  const found = format(cliff(y), 2);
  return `Your guess: ${format(guess, 2)}. It happens at ${found}. Now drag the line.`;
}

function render({ model, el: host }) {
  const place = (value) => update(model, "logit", Number(value.toFixed(2)));
  const target = choice(
    "Target",
    [
      [0, "○ 0"],
      [1, "● 1"],
    ],
    (value) => {
      update(model, "guess", null); // another truth, another guess
      update(model, "target", value);
    },
  );
  const shows = choice(
    "Plot",
    [
      ["gradient", "gradient"],
      ["loss", "loss"],
    ],
    (value) => update(model, "shows", value),
  );
  const prompt = el("p", { "aria-live": "polite" });
  const frame = el("div", { class: "mp-large" });
  const logit = slider("Logit", { min: RANGE[0], max: RANGE[1], step: 0.01 }, place);
  const table = comparison(["at your guess", "now"]);
  table.root.setAttribute("aria-live", "polite");
  const lock = el("button", {
    type: "button",
    onclick: () => update(model, "guess", model.get("guess") === null ? model.get("logit") : null),
  });
  const start = { guess: null, target: 0, shows: "gradient", logit: 0 };
  const reset = resetButton(model, start);
  let chart;

  function redraw() {
    const [y, what, guess] = ["target", "shows", "guess"].map((name) => model.get(name));
    target.set(y);
    shows.set(what);
    prompt.textContent = question(y, guess);
    lock.textContent = guess === null ? "Lock my guess" : "Guess again";
    chart = plot({
      title: what,
      x: RANGE,
      xTicks: [-100, -50, 0, 50, 100],
      xLabel: "logit",
      ...AXES[what],
      onpick: place,
    });
    if (guess !== null)
      chart.draw(
        [...PAIRS].reverse().map((pair) => ({
          role: pair.role,
          points: samples(pair[what], y, RANGE),
        })),
      );
    frame.replaceChildren(chart.root);
    move();
  }

  function move() {
    const [y, what, guess, at] = ["target", "shows", "guess", "logit"].map((n) => model.get(n));
    logit.set(at);
    chart.mark(at);
    const hidden = guess === null;
    const value = (pair, x) => (hidden ? "–" : format(pair[what](x, y)));
    table.title.textContent = what;
    table.fill([guess, at].map((x) => PAIRS.map((pair) => value(pair, x))));
    chart.dots(
      hidden
        ? []
        : [...PAIRS].reverse().map((pair) => ({ role: pair.role, at: [at, pair[what](at, y)] })),
    );
  }

  host.append(
    el(
      "div",
      { class: "mp bce", role: "group", "aria-label": "BCE explorer" },
      el("div", { class: "mp-row" }, target.root, shows.root, reset),
      prompt,
      frame,
      logit.root,
      el("div", { class: "mp-row" }, lock),
      table.root,
    ),
  );
  const stops = [
    follow(model, ["target", "shows", "guess"], redraw),
    follow(model, ["logit"], move),
  ];
  return () => stops.forEach((stop) => stop());
}

export default { render };
