const [STEPS, RATE, TOP] = [100, 0.5, 4];
const GROWTH_INTERVAL = 2000; // GradScaler's own settings
export const RUNS = [
  { role: "reference", name: "float32", bits: false, scaler: false },
  { role: "correct", name: "float16, scaler", bits: true, scaler: true },
  { role: "pitfall", name: "float16 alone", bits: true, scaler: false },
];

export function digits(data) {
  const part = (name) => ({
    x: numbers(data[`${name}_pixels`]).map((v) => v / 16),
    y: numbers(data[`${name}_labels`]),
  });
  return { train: part("train"), test: part("test") };
}

export function start(seed, { scaler }) {
  const layers = network([64, 20, 10], generator(seed));
  return { layers, scale: scaler ? 65536 : 1, clean: 0, skipped: 0, zeros: 0 };
}

const half = (list) => list.map((v) => round(v, "float16"));

// One step on all digits, with the loss times `factor` and the learning rate divided by it.
// What autocast keeps in 16 bits is rounded: weights, what each layer takes and returns,
// and every gradient. The weights themselves, the loss and the update are not.
export function step(state, { x, y }, factor, { bits, scaler }) {
  const cast = bits ? half : (list) => list;
  const { layers, scale } = state;
  const copies = layers.map((layer) => ({
    ...layer,
    weight: cast(layer.weight),
    bias: cast(layer.bias),
  }));
  const inputs = cast(x); // pixels are sixteenths, so nothing is lost here
  const hidden = cast(relu(cast(forward(copies[0], inputs))));
  const logits = cast(forward(copies[1], hidden));
  const { slopes } = crossEntropy(logits, y, 10);
  const sent = cast(slopes.map((v) => v * factor * scale));
  const below = cast(reluSlopes(hidden, cast(backwardInputs(copies[1], sent))));
  const found = [backward(copies[0], inputs, below), backward(copies[1], hidden, sent)];
  const unscaled = found.map(({ weight, bias }) => ({
    weight: cast(weight).map((v) => v / scale),
    bias: cast(bias).map((v) => v / scale),
  }));
  state.zeros = sent.filter((v) => v === 0).length / sent.length;
  const finite = unscaled.every(({ weight, bias }) => [...weight, ...bias].every(Number.isFinite));
  if (scaler && !finite) {
    [state.scale, state.clean, state.skipped] = [scale / 2, 0, state.skipped + 1];
    return;
  }
  layers.forEach((layer, i) => descend(layer, unscaled[i], RATE / factor));
  state.clean += 1;
  if (scaler && state.clean === GROWTH_INTERVAL) [state.scale, state.clean] = [2 * scale, 0];
}

// On the test digits, without rounding: a nan counts as far above the plot.
export function measure({ layers }, { x, y }) {
  const logits = trace(layers, x).at(-1);
  return { loss: crossEntropy(logits, y, 10).loss, right: accuracy(logits, y, 10) };
}

function render({ model, el: host }) {
  const data = digits(model.get("data"));
  const frame = el("div", { class: "mp-large" });
  const count = el("p", { class: "mp-soft" });
  const table = modelTable(RUNS, ["test loss", "right", "zeros", "skipped"]);
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
    runs = RUNS.map((run) => ({ run, state: start(model.get("seed"), run), curve: [] }));
    paint();
  }

  function next() {
    if (steps === STEPS) return false;
    for (const { run, state } of runs) step(state, data.train, 2 ** model.get("exponent"), run);
    steps += 1;
    paint();
    return steps < STEPS;
  }

  function paint() {
    const texts = runs.map(({ run, state, curve }) => {
      const { loss, right } = measure(state, data.test);
      curve.push([steps, Number.isFinite(loss) ? Math.min(loss, 2 * TOP) : 2 * TOP]);
      const skipped = run.scaler ? `${state.skipped}` : "–";
      const zeros = steps ? `${(100 * state.zeros).toFixed(0)}%` : "–";
      return [format(loss, 2), `${format(100 * right, 0)}%`, zeros, skipped];
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
    const scale = powerOfTwo(Math.log2(runs[1].state.scale));
    count.textContent = `Step ${steps} of ${STEPS}, the scaler's scale is ${scale}`;
  }

  const bar = player(model, { step: next, reset: begin });
  const factor = slider("Loss × 2^", { min: -24, max: 12, step: 1 }, (value) => {
    if (Number.isInteger(value)) update(model, "exponent", value);
  });
  host.append(
    el(
      "div",
      { class: "mp", role: "group", "aria-label": "Live training" },
      factor.root,
      bar.root,
      count,
      frame,
      table.root,
    ),
  );
  const unfollow = follow(model, ["exponent", "seed"], () => {
    factor.set(model.get("exponent"));
    bar.restart();
  });
  return () => {
    bar.stop();
    unfollow();
  };
}

export default { render };
