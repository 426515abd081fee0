const [STEPS, ROWS, RATE, CLASSES, LARGEST] = [300, 20, 0.5, 10, 64];

// The digits of the state: pixels from 0 to 1, and the label of each.
export function scans(data, part) {
  const x = numbers(data[`${part}_pixels`]).map((v) => v / 16);
  return { x, y: numbers(data[`${part}_labels`]) };
}

export const start = (seed) => network([64, 20, CLASSES], generator(seed));

function transposed(x, columns) {
  const rows = x.length / columns;
  return x.map((_, i) => x[(i % rows) * columns + Math.floor(i / rows)]);
}

// softmax(dim=0): the samples compete for each class.
export function softmaxColumns(logits, classes) {
  const samples = logits.length / classes;
  return transposed(softmaxRows(transposed(logits, classes), samples), samples);
}

// log_softmax(dim=0), then nll_loss: the mean loss, and its slope at each logit.
function nllOverBatch(logits, labels, classes) {
  const slopes = softmaxColumns(logits, classes);
  const loss = labels.reduce((sum, k, n) => sum - Math.log(slopes[n * classes + k]), 0);
  const rows = Array.from({ length: classes }, (_, k) => labels.filter((v) => v === k).length);
  slopes.forEach((p, i) => {
    slopes[i] =
      (p * rows[i % classes] - Number(labels[Math.floor(i / classes)] === i % classes)) /
      labels.length;
  });
  return { loss: loss / labels.length, slopes };
}

// softmax(dim=0) as the last layer, then CrossEntropyLoss.
function layerOverBatch(logits, labels, classes) {
  const p = softmaxColumns(logits, classes);
  const { loss, slopes } = crossEntropy(p, labels, classes);
  const pull = new Float64Array(classes);
  p.forEach((v, i) => {
    pull[i % classes] += v * slopes[i];
  });
  return { loss, slopes: p.map((v, i) => v * (slopes[i] - pull[i % classes])) };
}

export const LOSSES = { predict: crossEntropy, train: nllOverBatch, layer: layerOverBatch };

// One step of SGD on the next rows; returns the loss before it.
export function train(layers, { x, y }, step, lossOf) {
  const from = (step * ROWS) % y.length;
  const labels = y.subarray(from, from + ROWS);
  const seen = trace(layers, x.subarray(from * layers[0].inputs, (from + ROWS) * layers[0].inputs));
  const { loss, slopes } = lossOf(seen.at(-1), labels, CLASSES);
  gradients(layers, seen, slopes).forEach((g, i) => descend(layers[i], g, RATE));
  return loss;
}

// The share that is right if softmax runs over test batches of a size; `raised` is e to the
// power of each logit, and so the same for every size.
export function rightInBatches(raised, labels, classes, size) {
  let right = 0;
  for (let from = 0; from < labels.length; from += size) {
    const block = raised.subarray(from * classes, (from + size) * classes);
    const sums = new Float64Array(classes);
    for (let i = 0; i < block.length; i++) sums[i % classes] += block[i];
    for (let at = 0; at < block.length; at += classes) {
      let best = 0;
      for (let k = 1; k < classes; k++)
        if (block[at + k] / sums[k] > block[at + best] / sums[best]) best = k;
      right += Number(best === labels[from + at / classes]);
    }
  }
  return right / labels.length;
}

const SIZES = Array.from({ length: LARGEST }, (_, i) => i + 1);
const SIDES = [
  { role: "pitfall", name: "softmax over the batch" },
  { role: "correct", name: "softmax over the classes" },
];

const ASKED = {
  predict:
    "Over the batch, at which size of test batches is less than half right? Train, put the " +
    "dotted line there, then lock it.",
  train: "Over the batch, where does the loss start? Train, and read it below.",
  layer: "Over the batch, where does the loss end? Train, and read it below.",
};

function question(form, trained, guess, [batch, classes]) {
  if (form !== "predict" || guess === null) return ASKED[form];
  if (!trained) return `Your guess: ${guess}. Now train.`;
  const told = `${percent(classes)} are right over the classes, ${percent(batch)} over the batch`;
  return `Your guess: ${guess}. There ${told}. Now drag the line.`;
}

const percent = (share) => `${format(100 * share, 0)}%`;

function render({ model, el: host }) {
  const [learned, asked] = ["train", "test"].map((part) => scans(model.get("data"), part));
  let [runs, steps] = [[], 0];
  const place = (value) => update(model, "size", Math.round(value));
  // Only where a size is asked for, the curves wait for the guess.
  const asks = () => model.get("form") === "predict";
  const hides = () => asks() && model.get("guess") === null;
  const form = choice(
    "Over the batch",
    [
      ["predict", "predicting only"],
      ["train", "log_softmax, nll_loss"],
      ["layer", "Softmax layer"],
    ],
    (value) => {
      update(model, "guess", null); // another mistake, another guess
      update(model, "form", value);
    },
  );
  const prompt = el("p", { "aria-live": "polite" });
  const count = el("p", { class: "mp-soft" });
  const size = slider("Test batch", { min: 1, max: LARGEST, step: 1 }, (value) => {
    if (Number.isInteger(value)) place(value);
  });
  const lock = el("button", {
    type: "button",
    onclick: () => update(model, "guess", model.get("guess") === null ? model.get("size") : null),
  });
  const chart = plot({
    title: "right, in %",
    x: [1, LARGEST],
    y: [0, 100],
    xTicks: [1, 16, 32, 48, LARGEST],
    yTicks: [0, 50, 100],
    xLabel: "samples in a test batch",
    onpick: place,
  });
  const names = ["loss at the start", "loss now", "right in such test batches"];
  const table = modelTable(names, SIDES);

  function begin() {
    steps = 0;
    runs = [LOSSES[model.get("form")], crossEntropy].map((lossOf) => ({
      lossOf,
      layers: start(model.get("seed")),
      losses: [],
    }));
    examine();
  }

  function step() {
    if (steps === STEPS) return false;
    for (const run of runs) run.losses.push(train(run.layers, learned, steps, run.lossOf));
    steps += 1;
    examine();
    return steps < STEPS;
  }

  function examine() {
    const [batch, classes] = runs.map(({ layers }) => trace(layers, asked.x).at(-1));
    const flat = accuracy(classes, asked.y, CLASSES);
    const raised = batch.map(Math.exp);
    const falling = (n) => rightInBatches(raised, asked.y, CLASSES, n);
    runs[0].right = falling;
    runs[1].right = () => flat;
    count.textContent = `Step ${steps} of ${STEPS}, ${ROWS} digits each, SGD at ${RATE}`;
    paint();
  }

  function paint() {
    const guess = model.get("guess");
    form.set(model.get("form"));
    const shares = guess === null ? [] : runs.map((run) => run.right(guess));
    prompt.textContent = question(model.get("form"), steps > 0, guess, shares);
    lock.disabled = guess === null && steps === 0; // before training there is nothing to see
    lock.textContent = guess === null ? "Lock my guess" : "Guess again";
    lock.style.display = asks() ? "" : "none";
    chart.draw(
      hides()
        ? []
        : runs.map(({ right }, i) => ({
            role: SIDES[i].role,
            points: SIZES.map((n) => [n, 100 * right(n)]),
          })),
    );
    move();
  }

  function move() {
    const [n, hidden] = [model.get("size"), hides()];
    size.set(n);
    chart.mark(n);
    const shares = runs.map(({ right }) => right(n));
    chart.dots(
      hidden ? [] : shares.map((share, i) => ({ role: SIDES[i].role, at: [n, 100 * share] })),
    );
    const loss = (at) => runs.map(({ losses }) => (steps ? format(losses.at(at), 2) : "–"));
    table.fill([loss(0), loss(-1), shares.map((share) => (hidden ? "–" : percent(share)))]);
  }

  const bar = player(model, { step, reset: begin });
  host.append(
    el(
      "div",
      { class: "mp batch-softmax", role: "group", "aria-label": "Live training" },
      controls(form.root, bar.root),
      count,
      prompt,
      el("div", { class: "mp-large" }, chart.root),
      size.root,
      el("div", { class: "mp-row" }, lock),
      table.root,
    ),
  );
  const stops = [
    follow(model, ["form", "seed"], () => bar.restart()),
    follow(model, ["guess"], paint),
    follow(model, ["size"], move),
  ];
  return () => {
    bar.stop();
    stops.forEach((stop) => stop());
  };
}

export default { render };
