const SAMPLES = 50;
const HALF_OFF = 0.5;
const TOP = 310; // the plot's: a dot of what lies above stays at its edge

// What the mean loss of a micro-batch of `n` digits is multiplied by, in each of the three loops.
export const LOOPS = [
  { role: "pitfall", name: "not divided", factor: () => 1 },
  { role: "extra", name: "loss / 2", factor: () => 1 / 2 },
  { role: "correct", name: "loss · n / 50", factor: (n) => n / SAMPLES },
];

export function digits({ train_pixels, train_labels }) {
  return { x: numbers(train_pixels).map((v) => v / 16), y: numbers(train_labels) };
}

// The gradient of the mean loss of the digits from `a` to `b`, as one vector.
function meanGradient(layer, { x, y }, a, b) {
  const part = x.subarray(64 * a, 64 * b);
  const { slopes } = crossEntropy(forward(layer, part), y.subarray(a, b), 10);
  const { weight, bias } = backward(layer, part, slopes);
  return [...weight, ...bias];
}

// For each cut from 1 to 49 and each loop: the length of the error, in lengths of the
// gradient of all fifty at once.
export function errors(data, seed) {
  const layer = linear(64, 10, generator(seed));
  const wanted = meanGradient(layer, data, 0, SAMPLES);
  const length = Math.hypot(...wanted);
  return Array.from({ length: SAMPLES - 1 }, (_, i) => {
    const cut = i + 1;
    const left = meanGradient(layer, data, 0, cut);
    const right = meanGradient(layer, data, cut, SAMPLES);
    return LOOPS.map(({ factor }) => {
      const [a, b] = [factor(cut), factor(SAMPLES - cut)];
      return Math.hypot(...wanted.map((w, j) => a * left[j] + b * right[j] - w)) / length;
    });
  });
}

// The first cut right of the middle at which `loss / 2` is off by more than half.
export function answer(found) {
  return found.findIndex((each, i) => i + 1 > SAMPLES / 2 && each[1] > HALF_OFF) + 1;
}

const percent = (share) => (share < 1e-12 ? "0%" : `${format(100 * share, 0)}%`);

function render({ model, el: host }) {
  const found = errors(digits(model.get("data")), model.get("seed"));
  const place = (value) => update(model, "cut", Math.min(Math.max(Math.round(value), 1), 49));
  const prompt = el("p", { "aria-live": "polite" });
  const frame = el("div", { class: "mp-large" });
  const cut = slider("First micro-batch", { min: 1, max: 49, step: 1 }, place);
  const lock = el("button", {
    type: "button",
    onclick: () => update(model, "guess", model.get("guess") === null ? model.get("cut") : null),
  });
  const reset = resetButton(model, { guess: null, cut: SAMPLES / 2 });
  const chart = plot({
    title: "gradient off by, in per cent",
    x: [0, SAMPLES],
    y: [0, TOP],
    xTicks: [0, 10, 20, 30, 40, 50],
    yTicks: [0, 100, 200, 300],
    xLabel: "digits in the first micro-batch",
    onpick: place,
  });
  frame.append(chart.root);
  const heads = ["your guess", "now"].map((text) => el("th", { scope: "col" }, text));
  const sizes = [el("td"), el("td")];
  const rows = LOOPS.map(({ role, name }) => ({
    head: el(
      "th",
      { scope: "row", class: `mp-${role}` },
      el("span", { class: `mp-key mp-${role}`, "aria-hidden": "true" }),
      name,
    ),
    cells: [el("td"), el("td")],
  }));
  const counts = [el("td"), el("td")];
  const line = (name, cells) => el("tr", {}, el("th", { scope: "row" }, name), ...cells);
  const table = el(
    "table",
    {},
    el("thead", {}, el("tr", {}, el("td"), ...heads)),
    el(
      "tbody",
      {},
      line("micro-batches", sizes),
      ...rows.map(({ head, cells }) => el("tr", {}, head, ...cells)),
      line("weight of a digit, loss / 2", counts),
    ),
  );

  function redraw() {
    const guess = model.get("guess");
    lock.textContent = guess === null ? "Lock my guess" : "Guess again";
    prompt.textContent =
      guess === null
        ? "From which cut on, right of 25, is loss / 2 off by more than 50%? Drag, then lock."
        : `Your guess: ${guess}. It happens at ${answer(found)}. Now drag the line.`;
    const curve = (j) => found.map((each, i) => [i + 1, 100 * each[j]]);
    chart.draw(
      guess === null ? [] : LOOPS.map(({ role }, j) => ({ role, points: curve(j) })).reverse(),
    );
    move();
  }

  function move() {
    const [guess, now] = [model.get("guess"), model.get("cut")];
    cut.set(now);
    chart.mark(now);
    const off = (at, j) => found[at - 1][j];
    [guess, now].forEach((at, column) => {
      const hidden = guess === null;
      sizes[column].textContent = at === null ? "–" : `${at} | ${SAMPLES - at}`;
      rows.forEach(({ cells }, j) => {
        cells[column].textContent = hidden ? "–" : percent(off(at, j));
      });
      const each = (n) => format(SAMPLES / 2 / n, 2);
      counts[column].textContent = hidden ? "–" : `${each(at)} | ${each(SAMPLES - at)}`;
    });
    chart.dots(
      guess === null
        ? []
        : LOOPS.map(({ role }, j) => ({
            role,
            at: [now, Math.min(100 * off(now, j), TOP)],
          })).reverse(),
    );
  }

  host.append(
    el(
      "div",
      { class: "mp accumulation-cut", role: "group", "aria-label": "Accumulation explorer" },
      prompt,
      frame,
      cut.root,
      el("div", { class: "mp-row" }, lock, reset),
      table,
    ),
  );
  const stops = [follow(model, ["guess"], redraw), follow(model, ["cut"], move)];
  return () => stops.forEach((stop) => stop());
}

export default { render };
