// A small network with batch normalisation and dropout: Linear(64, 32), BatchNorm1d(32),
// ReLU, Dropout(0.2), Linear(32, 10). It is trained in the page, then tested in either mode.

const [INPUTS, HIDDEN, CLASSES] = [64, 32, 10];
const [STEPS, ROWS, RATE] = [150, 32, 0.5];
const [DROPPED, MOMENTUM, EPS] = [0.2, 0.1, 1e-5];
const BATCHES = 12;
const SAMPLE = 1; // of the test digits, the one that is in every batch

// --- arithmetic ---

export function digits(data) {
  const part = (name) => ({
    x: numbers(data[`${name}_pixels`]).map((v) => v / 16),
    y: [...numbers(data[`${name}_labels`])],
  });
  return { train: part("train"), test: part("test") };
}

export function start(seed) {
  const random = generator(seed);
  const all = (value) => new Float64Array(HIDDEN).fill(value);
  return {
    random,
    first: linear(INPUTS, HIDDEN, random),
    norm: { weight: all(1), bias: all(0), mean: all(0), variance: all(1) },
    last: linear(HIDDEN, CLASSES, random),
  };
}

// The mean of each feature over the rows of a batch, and the mean of its squared distances.
function statistics(x) {
  const rows = x.length / HIDDEN;
  const [mean, variance] = [new Float64Array(HIDDEN), new Float64Array(HIDDEN)];
  x.forEach((v, i) => (mean[i % HIDDEN] += v / rows));
  x.forEach((v, i) => (variance[i % HIDDEN] += (v - mean[i % HIDDEN]) ** 2 / rows));
  return { mean, variance };
}

// From pixels to logits. In train() batch normalisation takes the statistics of this batch, and
// `mask` has a 0 for each unit that is dropped; in eval() it takes the stored ones.
export function run(net, x, mask) {
  const { norm } = net;
  const hidden = forward(net.first, x);
  const used = mask ? statistics(hidden) : norm;
  const spread = used.variance.map((v) => Math.sqrt(v + EPS));
  const normed = hidden.map((v, i) => (v - used.mean[i % HIDDEN]) / spread[i % HIDDEN]);
  const scaled = normed.map((v, i) => v * norm.weight[i % HIDDEN] + norm.bias[i % HIDDEN]);
  const active = relu(scaled);
  const kept = mask ? active.map((v, i) => v * mask[i]) : active;
  return { used, spread, normed, scaled, kept, logits: forward(net.last, kept) };
}

// For each unit 0 if dropout takes it away, and its factor if not.
export function drop(random, rows) {
  const draw = () => (random() < DROPPED ? 0 : 1 / (1 - DROPPED));
  return Float64Array.from({ length: rows * HIDDEN }, draw);
}

// One step of SGD in train mode. Returns the loss before it.
export function learn(net, x, labels, mask) {
  const { norm } = net;
  const seen = run(net, x, mask);
  const { loss, slopes } = crossEntropy(seen.logits, labels, CLASSES);
  const last = backward(net.last, seen.kept, slopes);
  const back = backwardInputs(net.last, slopes).map((v, i) => v * mask[i]);
  const scaled = reluSlopes(seen.scaled, back);
  const gradient = { weight: new Float64Array(HIDDEN), bias: new Float64Array(HIDDEN) };
  scaled.forEach((v, i) => {
    gradient.bias[i % HIDDEN] += v;
    gradient.weight[i % HIDDEN] += v * seen.normed[i];
  });
  // Mean and spread of the batch depend on every row, so each row's slope has two more parts.
  const rows = labels.length;
  const hidden = scaled.map((v, i) => {
    const k = i % HIDDEN;
    const shared = (gradient.bias[k] + seen.normed[i] * gradient.weight[k]) / rows;
    return (norm.weight[k] / seen.spread[k]) * (v - shared);
  });
  descend(net.first, backward(net.first, x, hidden), RATE);
  descend(norm, gradient, RATE);
  descend(net.last, last, RATE);
  const follow = (old, now) => old.map((v, k) => (1 - MOMENTUM) * v + MOMENTUM * now[k]);
  norm.mean = follow(norm.mean, seen.used.mean);
  const unbiased = seen.used.variance.map((v) => (v * rows) / (rows - 1)); // what torch stores
  norm.variance = follow(norm.variance, unbiased);
  return loss;
}

function gather({ x, y }, rows) {
  const pixels = new Float64Array(rows.length * INPUTS);
  rows.forEach((row, i) => pixels.set(x.subarray(row * INPUTS, (row + 1) * INPUTS), i * INPUTS));
  return { x: pixels, y: rows.map((row) => y[row]) };
}

// What the next step trains on: digits by chance, and a mask.
export function draw(net, { train }) {
  const rows = Array.from({ length: ROWS }, () => Math.floor(net.random() * train.y.length));
  return { ...gather(train, rows), mask: drop(net.random, ROWS) };
}

// Logits of some test digits in either mode. The model is left as it is.
function answers(net, { test }, rows, mode, random) {
  const { x, y } = gather(test, rows);
  const mask = mode === "train" ? drop(random, rows.length) : null;
  return { logits: run(net, x, mask).logits, y };
}

// One digit of the test set in some batches, each time with other digits: how probable its class
// is to the model.
export function strip(net, data, mode, size, seed) {
  const random = generator(seed);
  const count = data.test.y.length;
  const other = () => (SAMPLE + 1 + Math.floor(random() * (count - 1))) % count;
  return Array.from({ length: BATCHES }, () => {
    const rows = [SAMPLE, ...Array.from({ length: size - 1 }, other)];
    const { logits, y } = answers(net, data, rows, mode, random);
    return softmaxRows(logits.subarray(0, CLASSES), CLASSES)[y[0]];
  });
}

// The share of all test digits that is right, in batches of `size` in a random order.
export function score(net, data, mode, size, seed) {
  const random = generator(seed);
  const order = data.test.y
    .map((_, row) => [random(), row])
    .sort((a, b) => a[0] - b[0])
    .map(([, row]) => row);
  let right = 0;
  for (let from = 0; from < order.length; from += size) {
    const rows = order.slice(from, from + size);
    const { logits, y } = answers(net, data, rows, mode, random);
    right += accuracy(logits, y, CLASSES) * rows.length;
  }
  return right / order.length;
}

// --- the page ---

const SIZES = [2, 8, 64];
const MODES = [
  ["train", "train()", "pitfall"],
  ["eval", "eval()", "correct"],
];
const SETTINGS = SIZES.flatMap((size) =>
  MODES.map(([how, text, role]) => ({ how, size, text, role })),
);
const COLUMNS = ["your guess", "right", "one digit"];
const key = (how, size) => `${how} ${size}`;

function render({ model, el: host }) {
  const data = digits(model.get("data"));
  const frame = el("div", { class: "mp-large" });
  const count = el("p", { class: "mp-soft" });
  let [net, steps, curve, runs, found] = [null, 0, [], 0, {}];

  const mode = choice(
    "Tested in",
    MODES.map(([value, text]) => [value, text]),
    (value) => update(model, "mode", value),
  );
  const size = choice(
    "Batches of",
    SIZES.map((value) => [value, `${value}`]),
    (value) => update(model, "size", value),
  );
  const whole = (value) => Number.isInteger(value) && 0 <= value && value <= 100;
  const guess = numberField("Right, in % (your guess)", 1, whole, (value) =>
    update(model, "guess", value),
  );
  const test = el("button", { type: "button", onclick: measure }, "Test");
  const cells = SETTINGS.map(() => COLUMNS.map(() => el("td")));
  const table = el(
    "table",
    {},
    el(
      "thead",
      {},
      el("tr", {}, el("td"), ...COLUMNS.map((name) => el("th", { scope: "col" }, name))),
    ),
    el(
      "tbody",
      {},
      ...SETTINGS.map((setting, i) =>
        el(
          "tr",
          {},
          el(
            "th",
            { scope: "row", class: `mp-${setting.role}` },
            el("span", { "aria-hidden": "true" }, setting.how === "train" ? "○ " : "● "),
            `${setting.text}, ${setting.size}`,
          ),
          ...cells[i],
        ),
      ),
    ),
  );

  function begin() {
    [net, steps, curve, found] = [start(model.get("seed")), 0, [], {}];
    paint();
  }

  function step() {
    if (steps === STEPS) return false;
    const { x, y, mask } = draw(net, data);
    steps += 1;
    curve.push([steps, learn(net, x, y, mask)]);
    paint();
    return steps < STEPS;
  }

  function measure() {
    const [how, rows] = [model.get("mode"), model.get("size")];
    runs += 1;
    const seed = 100 * model.get("seed") + runs;
    found[key(how, rows)] = {
      guess: model.get("guess"),
      score: score(net, data, how, rows, seed),
      dots: strip(net, data, how, rows, seed),
    };
    paint();
  }

  function paint() {
    const tested = Object.keys(found).length > 0;
    const [trained, guessed] = [steps === STEPS, model.get("guess") !== null];
    test.disabled = !trained || !guessed;
    frame.replaceChildren((tested ? stripChart() : lossChart()).root);
    const next = !trained ? "" : guessed ? ": now test" : ": now guess";
    count.textContent = tested
      ? `Right: of ${data.test.y.length} digits. ` +
        `Dots: one of them, a ${data.test.y[SAMPLE]}, in ${BATCHES} batches`
      : `Training step ${steps} of ${STEPS}${next}`;
    SETTINGS.forEach(({ how, size: rows }, i) => {
      const result = found[key(how, rows)];
      const texts = result ? told(result) : COLUMNS.map(() => "–");
      texts.forEach((text, j) => {
        cells[i][j].textContent = text;
      });
    });
  }

  function lossChart() {
    const chart = plot({
      title: "training loss",
      x: [0, STEPS],
      y: [0, 3],
      xTicks: [0, 50, 100, 150],
      yTicks: [0, 1, 2, 3],
      xLabel: "step",
    });
    chart.draw([{ role: "reference", points: curve }]);
    return chart;
  }

  // One strip of dots for each setting, those of a size beside each other.
  function stripChart() {
    const chart = plot({
      title: "probability of its class",
      x: [0.5, 3.5],
      y: [0, 1.05],
      xTicks: [1, 2, 3],
      yTicks: [0, 0.5, 1],
      xLabel: "batches of",
    });
    const names = chart.root.querySelectorAll("text"); // the ticks of x come first
    SIZES.forEach((value, i) => {
      names[i].textContent = value;
    });
    chart.dots(
      SETTINGS.filter(({ how, size: rows }) => found[key(how, rows)]).flatMap((setting) => {
        const left = SIZES.indexOf(setting.size) + (setting.how === "train" ? 0.55 : 1.07);
        return found[key(setting.how, setting.size)].dots.map((probability, i) => ({
          role: setting.role,
          at: [left + (0.38 * i) / (BATCHES - 1), probability],
        }));
      }),
    );
    // Small, so that equal ones show beside each other.
    chart.root.querySelectorAll("circle").forEach((dot) => dot.setAttribute("r", 3));
    return chart;
  }

  const bar = player(model, { step, reset: begin });
  const name = el("span", { "aria-hidden": "true" }, "Right, in % (your guess)");
  host.append(
    el(
      "div",
      { class: "mp", role: "group", "aria-label": "Mode explorer" },
      controls(bar.root, el("div", { class: "mp-row" }, mode.root, size.root)),
      el("div", { class: "mp-row" }, el("span", { class: "mp-seed" }, name, guess.root), test),
      count,
      frame,
      table,
    ),
  );
  const stops = [
    follow(model, ["seed"], () => bar.restart()),
    follow(model, ["guess"], () => {
      guess.set(model.get("guess"));
      paint();
    }),
    follow(model, ["size"], () => size.set(model.get("size"))),
    follow(model, ["mode"], () => mode.set(model.get("mode"))),
  ];
  return () => {
    bar.stop();
    stops.forEach((stop) => stop());
  };
}

// One row of the table.
function told({ guess, score: share, dots }) {
  const [low, high] = [Math.min(...dots), Math.max(...dots)].map((v) => v.toFixed(2));
  return [
    `${guess}%`,
    `${format(100 * share, 0)}%`,
    low === high ? `always ${low}` : `${low}–${high}`,
  ];
}

export default { render };
