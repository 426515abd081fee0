const [STEPS, RATE, FEATURES] = [200, 0.5, 10];

// The tumours of the state: rows of ten numbers, and 0 or 1 for each.
export function tumours({ tenths, labels }) {
  return { x: numbers(tenths).map((v) => v / 10), y: numbers(labels) };
}

export function start(seed, bias) {
  const layer = linear(FEATURES, 1, generator(seed));
  layer.bias[0] = bias;
  return layer;
}

// The mean loss, the share that is right, and how many mistakes send less than half of the
// gradient that they owe.
export function measure(layer, { x, y }, { loss, gradient }) {
  const logits = forward(layer, x);
  const mean = (f) => logits.reduce((sum, z, i) => sum + f(z, y[i]), 0) / y.length;
  return {
    loss: mean(loss),
    right: mean((z, target) => Number(z > 0 === (target === 1))),
    lost: logits.filter((z, i) => {
      const owed = Math.abs(logitsGradient(z, y[i]));
      return owed > 0.5 && Math.abs(gradient(z, y[i])) < 0.5 * owed;
    }).length,
  };
}

// One step on all tumours. The layer is float64; the loss and its gradient, float32.
export function train(layer, { x, y }, { gradient }) {
  const slopes = forward(layer, x).map((z, i) => gradient(z, y[i]) / y.length);
  descend(layer, backward(layer, x, slopes), RATE);
}

function render({ model, el: host }) {
  const data = tumours(model.get("data"));
  const frame = el("div", { class: "mp-large" });
  const table = comparison([
    "loss at the start",
    "loss now",
    "right now",
    "mistakes without gradient",
  ]);
  const count = el("p", { class: "mp-soft" });
  let [runs, chart, steps] = [[], null, 0];

  function begin() {
    steps = 0;
    runs = PAIRS.map((pair) => {
      const layer = start(model.get("seed"), model.get("bias"));
      return { pair, layer, curve: [[0, measure(layer, data, pair).loss]] };
    });
    const highest = Math.max(1, 1.1 * Math.max(...runs.map(({ curve }) => curve[0][1])));
    const tick = Number((highest / 2).toPrecision(1));
    const xTicks = [0, 50, 100, 150, 200];
    chart = plot({
      title: "training loss",
      x: [0, STEPS],
      y: [0, Math.max(highest, 2 * tick)],
      xTicks,
      yTicks: [0, tick, 2 * tick],
      xLabel: "step",
    });
    frame.replaceChildren(chart.root);
    paint();
  }

  function step() {
    if (steps === STEPS) return false;
    steps += 1;
    for (const { pair, layer, curve } of runs) {
      train(layer, data, pair);
      curve.push([steps, measure(layer, data, pair).loss]);
    }
    paint();
    return steps < STEPS;
  }

  function paint() {
    const drawn = [...runs].reverse();
    chart.draw(drawn.map(({ pair, curve }) => ({ role: pair.role, points: curve })));
    chart.dots(drawn.map(({ pair, curve }) => ({ role: pair.role, at: curve.at(-1) })));
    const now = runs.map(({ pair, layer }) => measure(layer, data, pair));
    table.fill([
      runs.map(({ curve }) => format(curve[0][1], 2)),
      now.map(({ loss }) => format(loss, 2)),
      now.map(({ right }) => `${format(100 * right, 0)}%`),
      now.map(({ lost }) => (steps ? `${lost}` : "–")), // not before the reader has guessed
    ]);
    count.textContent = `Step ${steps} of ${STEPS}, ${data.y.length} tumours, SGD at ${RATE}`;
  }

  const bar = player(model, { step, reset: begin });
  const bias = slider("Bias at the start", { min: -40, max: 40, step: 1 }, (value) => {
    if (Number.isInteger(value)) update(model, "bias", value);
  });
  host.append(
    el(
      "div",
      { class: "mp", role: "group", "aria-label": "Live training" },
      bias.root,
      bar.root,
      count,
      frame,
      table.root,
    ),
  );
  const unfollow = follow(model, ["bias", "seed"], () => {
    bias.set(model.get("bias"));
    bar.restart();
  });
  return () => {
    bar.stop();
    unfollow();
  };
}

export default { render };
