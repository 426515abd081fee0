const [BATCH, MICRO, STEPS] = [128, 16, 100];
const PARTS = BATCH / MICRO;
const TOP = 4; // the plot's: guessing costs ln 10, about 2.3

// Micro-batches of how many digits, and what the mean loss of each is multiplied by.
export const RUNS = [
  { role: "reference", name: "128 at once", size: BATCH, factor: 1 },
  { role: "correct", name: "8 × 16, loss / 8", size: MICRO, factor: 1 / PARTS },
  { role: "pitfall", name: "8 × 16, not divided", size: MICRO, factor: 1 },
];

export function digits(data) {
  const part = (name) => ({
    x: numbers(data[`${name}_pixels`]).map((v) => v / 16),
    y: numbers(data[`${name}_labels`]),
  });
  return { train: part("train"), test: part("test") };
}

export const start = (seed) => network([64, 20, 10], generator(seed));

// The step with this number: all micro-batches of one batch, then the weights.
export function step(layers, { x, y }, number, rate, { size, factor }) {
  const from = (number * BATCH) % y.length;
  const sums = layers.map(({ weight, bias }) => ({
    weight: new Float64Array(weight.length),
    bias: new Float64Array(bias.length),
  }));
  for (let a = from; a < from + BATCH; a += size) {
    const seen = trace(layers, x.subarray(64 * a, 64 * (a + size)));
    const { slopes } = crossEntropy(seen.at(-1), y.subarray(a, a + size), 10);
    gradients(layers, seen, slopes).forEach((gradient, i) => {
      for (const name of ["weight", "bias"])
        gradient[name].forEach((value, j) => {
          sums[i][name][j] += factor * value; // what backward() does to .grad
        });
    });
  }
  layers.forEach((layer, i) => descend(layer, sums[i], rate));
}

export function measure(layers, { x, y }) {
  const logits = trace(layers, x).at(-1);
  return { loss: crossEntropy(logits, y, 10).loss, right: accuracy(logits, y, 10) };
}

// The largest difference between the weights of two networks.
export function apart(a, b) {
  const differences = a.flatMap((layer, i) =>
    ["weight", "bias"].flatMap((name) => [...layer[name].map((v, j) => v - b[i][name][j])]),
  );
  return Math.max(...differences.map(Math.abs));
}

function render({ model, el: host }) {
  const data = digits(model.get("data"));
  const frame = el("div", { class: "mp-large" });
  const count = el("p", { class: "mp-soft" });
  const table = modelTable(RUNS, ["test loss", "right", "weights apart"]);
  const chart = plot({
    title: "loss on 200 test digits",
    x: [0, STEPS],
    y: [0, TOP],
    xTicks: [0, 25, 50, 75, 100],
    yTicks: [0, 1, 2, 3, 4],
    xLabel: "step",
  });
  frame.append(chart.root);
  let [runs, steps] = [[], 0];

  function begin() {
    steps = 0;
    runs = RUNS.map((run) => ({ run, layers: start(model.get("seed")), curve: [] }));
    paint();
  }

  function next() {
    if (steps === STEPS) return false;
    for (const { run, layers } of runs) step(layers, data.train, steps, model.get("rate"), run);
    steps += 1;
    paint();
    return steps < STEPS;
  }

  function paint() {
    const texts = runs.map(({ layers, curve }, i) => {
      const { loss, right } = measure(layers, data.test);
      curve.push([steps, loss]);
      const gap = apart(layers, runs[0].layers);
      const far = i === 0 ? "–" : gap < 1e-9 ? "0" : format(gap, 2);
      return [format(loss, 2), `${format(100 * right, 0)}%`, far];
    });
    table.fill(texts);
    const drawn = [runs[2], runs[1], runs[0]]; // the dotted reference lies on top
    chart.draw(drawn.map(({ run, curve }) => ({ role: run.role, points: curve })));
    chart.dots(
      drawn.map(({ run, curve }) => {
        const [at, loss] = curve.at(-1);
        return { role: run.role, at: [at, Math.min(loss, TOP)] };
      }),
    );
    count.textContent = `Step ${steps} of ${STEPS}, SGD at ${format(model.get("rate"), 2)}`;
  }

  const bar = player(model, { step: next, reset: begin });
  const rate = slider("Learning rate", { min: 0.05, max: 1, step: 0.05 }, (value) =>
    update(model, "rate", value),
  );
  host.append(
    el(
      "div",
      { class: "mp", role: "group", "aria-label": "Live training" },
      rate.root,
      bar.root,
      count,
      frame,
      table.root,
    ),
  );
  const unfollow = follow(model, ["rate", "seed"], () => {
    rate.set(model.get("rate"));
    bar.restart();
  });
  return () => {
    bar.stop();
    unfollow();
  };
}

export default { render };
