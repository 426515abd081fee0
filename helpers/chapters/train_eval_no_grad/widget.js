// --- arithmetic: Linear(64, 64), BatchNorm1d, ReLU, Dropout(0.5), Linear(64, 10), float64 ---

const [UNITS, BYTES, P] = [64, 8, 0.5];

// What autograd keeps for backward(), without weights and buffers. In train() the batch's
// mean and inverse standard deviation, and the dropout mask, come on top.
export function keptBytes(mode, grad, rows) {
  if (grad !== "recorded") return 0;
  // The input, normalisation's input, relu's output; in train() the mask and its product.
  const matrices = mode === "train" ? 5 : 3;
  return matrices * rows * UNITS * BYTES + (mode === "train" ? 2 * UNITS * BYTES : 0);
}

// nn.BatchNorm1d(1, affine=False) on one feature: its output and its statistics after it.
export function batchNorm(values, [mean, variance], training, momentum = 0.1, eps = 1e-5) {
  const normalise = (m, v) => values.map((x) => (x - m) / Math.sqrt(v + eps));
  if (!training) return { output: normalise(mean, variance), statistics: [mean, variance] };
  const n = values.length;
  const m = values.reduce((sum, x) => sum + x, 0) / n;
  const squares = values.reduce((sum, x) => sum + (x - m) ** 2, 0);
  const follow = (old, now) => (1 - momentum) * old + momentum * now;
  // Normalised with the biased variance; the unbiased one is stored.
  return {
    output: normalise(m, squares / n),
    statistics: [follow(mean, m), follow(variance, squares / (n - 1))],
  };
}

// nn.Dropout for a given mask of kept units.
export function dropout(values, kept, training, p = P) {
  return values.map((x, i) => (!training ? x : kept[i] ? x / (1 - p) : 0));
}

// What can be said of a combination without running it.
export function facts(mode, grad) {
  return {
    drops: mode === "train",
    moves: mode === "train",
    graph: grad === "recorded",
    inference: grad === "inference_mode",
  };
}

// Numbers from 0 to 1 that are the same for the same seed (mulberry32).
export function randoms(seed, count) {
  let a = seed >>> 0;
  return Array.from({ length: count }, () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  });
}

// One feature of the batch of a run: sample 0 is always 4, the others are 0 to 6.
export const SAMPLE = 4;
export const batch = (run, rows) => [SAMPLE, ...randoms(1000 + run, rows - 1).map((u) => 6 * u)];
// The mask of sample 0: six of its units are shown.
export const mask = (run) => randoms(7000 + run, 6).map((u) => u >= P);

// All that the meters show after a history of runs [mode, grad, rows].
export function replay(history) {
  let [statistics, last] = [[0, 1], null];
  history.forEach(([mode, grad, rows], run) => {
    const training = mode === "train";
    const [values, before] = [batch(run, rows), statistics];
    const normed = batchNorm(values, before, training);
    statistics = normed.statistics;
    const units = Array(6).fill(normed.output[0]); // six equal ones, to see the mask
    last = {
      mode,
      grad,
      rows,
      values,
      before,
      after: statistics,
      mask: mask(run),
      normed: normed.output[0],
      units: dropout(units, mask(run), training),
      kept: keptBytes(mode, grad, rows),
      ...facts(mode, grad),
    };
  });
  return last;
}

// --- the page ---

const GRADS = [
  ["recorded", "recorded"],
  ["no_grad", "no_grad()"],
  ["inference_mode", "inference_mode()"],
];
const USES = {
  "train true": ["correct", "✓ The combination for training."],
  "train false": ["pitfall", "✗ Neither training nor validation."],
  "eval true": ["extra", "○ Right outputs, but memory is kept."],
  "eval false": ["correct", "✓ A combination for validation."],
};
const FULL = keptBytes("train", "recorded", 64);
const bytes = (n) => `${String(n).replace(/\B(?=(\d{3})+$)/g, ",")} bytes`;

// A line from 0 to 6 with the batch as dots, its mean below, the running mean above.
function numberLine(found) {
  const x = (v) => 14 + (v / 6) * 312;
  const node = svg(
    "svg",
    { viewBox: "0 0 340 74", "aria-hidden": "true", focusable: "false" },
    svg("path", { class: "mp-axis", d: `M${x(0)},38H${x(6)}` }),
    ...[0, 2, 4, 6].map((v) => svg("text", { x: x(v), y: 70, "text-anchor": "middle" }, String(v))),
  );
  const arrow = (v, role, d) =>
    svg("path", {
      class: `modes-mark modes-${role}`,
      transform: `translate(${x(v).toFixed(1)} 38)`,
      d,
    });
  if (!found) return node;
  node.append(
    ...found.values.map((v, i) =>
      svg("circle", {
        class: i ? "modes-dot" : "modes-dot modes-own",
        cx: x(v),
        cy: 38,
        r: i ? 4 : 6,
      }),
    ),
  );
  const mean = found.values.reduce((sum, v) => sum + v, 0) / found.values.length;
  node.append(
    arrow(mean, "batch", "M0,9l6,11h-12z"),
    arrow(found.before[0], "before", "M0,-9l6,-11h-12z"),
    arrow(found.after[0], "after", "M0,-9l6,-11h-12z"),
  );
  return node;
}

function render({ model, el: host }) {
  const mode = choice(
    "Mode",
    [
      ["train", "train()"],
      ["eval", "eval()"],
    ],
    (v) => update(model, "mode", v),
  );
  const grad = choice("Gradients", GRADS, (v) => update(model, "grad", v));
  const rows = slider("Samples in a batch", { min: 2, max: 64, step: 1 }, (v) =>
    update(model, "rows", Math.round(v)),
  );
  const run = () =>
    update(model, "history", [
      ...model.get("history"),
      ["mode", "grad", "rows"].map((name) => model.get(name)),
    ]);
  const news = el("p", { "aria-live": "polite" });
  const meter = (title, ...parts) =>
    el("div", { class: "modes-meter" }, el("strong", {}, title), ...parts);
  const [line, moved, units, dropped] = [
    el("div"),
    el("p"),
    el("ul", { class: "modes-units", "aria-label": "Units after dropout" }),
    el("p"),
  ];
  const [kept, bar, backward, output, use] = [
    el("p", { class: "mp-total" }),
    el("div", { class: "modes-bar" }),
    el("p"),
    el("p"),
    el("p"),
  ];

  function paint() {
    const history = model.get("history");
    const found = replay(history);
    mode.set(model.get("mode"));
    grad.set(model.get("grad"));
    rows.set(model.get("rows"));
    line.replaceChildren(numberLine(found));
    units.replaceChildren(
      ...Array.from({ length: 6 }, (_, i) => {
        const off = found?.drops && !found.mask[i];
        return el(
          "li",
          { class: off ? "modes-off" : "" },
          off ? "× 0" : found ? format(found.units[i], 2) : "–",
        );
      }),
    );
    bar.style.width = `${found ? (100 * found.kept) / FULL : 0}%`;
    if (!found) {
      news.textContent = "No batch yet: choose a combination, predict, then run a batch.";
      for (const node of [moved, dropped, kept, backward, output, use]) node.textContent = "–";
      return;
    }
    const recording = found.grad === "recorded" ? "gradients recorded" : `${found.grad}()`;
    const gone = `${found.drops ? found.mask.filter((k) => !k).length : 0} of 6 dropped`;
    const [old, now] = [found.before[0], found.after[0]].map((v) => format(v, 2));
    const mean = found.moves ? `${old} → ${now}` : `stays ${now}`;
    news.replaceChildren(
      el(
        "strong",
        {},
        `Batch ${history.length}, ${found.rows} samples: ${found.mode}(), ${recording}.`,
      ),
      ` Running mean ${mean}; ${gone}; ${bytes(found.kept)} kept.`,
    );
    moved.textContent = found.moves
      ? `▼ moved from ${old} to ${now}, a tenth of the way to ▲, the mean of the batch.`
      : `▼ stays at ${now}, wherever ▲, the mean of the batch, is.`;
    dropped.textContent = found.drops ? `${gone} (×), the others doubled.` : `${gone}.`;
    const by = found.moves ? "batch's mean and variance" : "running estimates";
    output.textContent = `Its 4.00 is normalised to ${format(found.normed, 2)}, by the ${by}.`;
    kept.textContent = bytes(found.kept);
    const refused = found.inference ? ", and autograd refuses the output for good" : "";
    backward.textContent = found.graph
      ? "requires_grad=True: backward() works."
      : `requires_grad=False: backward() raises${refused}.`;
    const [role, text] = USES[`${found.mode} ${found.graph}`];
    use.replaceChildren(el("strong", { class: `mp-${role}` }, text));
  }
  host.append(
    el(
      "div",
      { class: "mp modes", role: "group", "aria-label": "Mode switchboard" },
      controls(
        mode.root,
        grad.root,
        rows.root,
        el(
          "div",
          { class: "mp-row" },
          el("button", { type: "button", onclick: run }, "Run a batch"),
          resetButton(model, { history: [] }),
        ),
      ),
      news,
      el(
        "div",
        { class: "mp-grid" },
        meter("Running mean (▼) and batch", line, moved),
        meter(
          "The same sample every time (●)",
          output,
          el("p", { class: "mp-soft" }, "Six units of this value, after dropout:"),
          units,
          dropped,
        ),
        meter("Kept for backward()", kept, el("div", { class: "modes-track" }, bar)),
        meter("The output", backward, use),
      ),
    ),
  );
  return follow(model, ["mode", "grad", "rows", "history"], paint);
}

export default { render };
