// --- arithmetic: a tensor is a nested list, samples × classes × positions ---

const SHAPE = [2, 3, 2];
const INDICES = SHAPE.reduce(
  (all, size) => all.flatMap((index) => Array.from({ length: size }, (_, i) => [...index, i])),
  [[]],
);
const at = (tensor, [i, j, k]) => tensor[i][j][k];

// The indices of a batch that differ from `index` along `dim` alone, itself included.
export function fibre(index, dim, batch) {
  const length = dim === 0 ? batch : SHAPE[dim];
  return Array.from({ length }, (_, i) => index.map((old, d) => (d === dim ? i : old)));
}

// torch.softmax in float32: minus the largest, exponentials, over their sum.
export function softmax(logits, dim) {
  const one = (index) => {
    const line = fibre(index, dim, logits.length).map((other) => f32(at(logits, other)));
    const largest = Math.max(...line);
    const sum = line.reduce((total, v) => f32(total + f32(Math.exp(f32(v - largest)))), 0);
    return f32(f32(Math.exp(f32(f32(at(logits, index)) - largest))) / sum);
  };
  return logits.map((block, i) => block.map((row, j) => row.map((_, k) => one([i, j, k]))));
}

// The sum of every fibre along a dimension, each once.
export function sums(probabilities, dim) {
  const inside = INDICES.filter((i) => i[dim] === 0 && i[0] < probabilities.length);
  return inside.map((index) =>
    fibre(index, dim, probabilities.length).reduce((sum, i) => sum + at(probabilities, i), 0),
  );
}

// The class with the largest probability, the first of equals.
export function winner(block, position) {
  const row = block.map((values) => values[position]);
  return row.indexOf(Math.max(...row));
}

// How many probabilities of one sample differ between two tensors.
export function changed(before, after, sample) {
  return INDICES.filter(([i]) => i === sample).filter(
    (index) => Math.abs(at(before, index) - at(after, index)) > 1e-6,
  ).length;
}

// --- the page ---

const START = [
  [
    [2, 0.5],
    [0, 1.5],
    [1, -1],
  ],
  [
    [0, 2],
    [3, 1],
    [1, 0],
  ],
];
const NAMES = ["samples", "classes", "positions"];

// One picture for each sample: its logits, which the reader drags, above its probabilities.
const [WIDTH, HEIGHT, LEFT, COLUMN, GAP] = [320, 268, 26, 46, 14];
const [TOP, FLOOR] = [24, 124]; // of the logits, from SHOWN to −SHOWN
const [FULL, NONE] = [164, 228]; // of the probabilities, from 1 to 0
const [SHOWN, LIMIT, STEP] = [6, 20, 0.5];
const within = (v, limit) => Math.min(Math.max(v, -limit), limit);
const logitY = (v) => TOP + ((SHOWN - within(v, SHOWN)) / (2 * SHOWN)) * (FLOOR - TOP);
const probabilityY = (p) => NONE - p * (NONE - FULL);
const middle = ([, j, k]) => LEFT + (j + 0.5) * COLUMN + k * (3 * COLUMN + GAP);
const text = (x, y = 0, ...parts) => svg("text", { x, y, "text-anchor": "middle" }, ...parts);

// A column of the picture: a logit to drag, or to step with the arrow keys, and its bar.
function column(index, ondrag, onpoint) {
  const x = middle(index);
  const dot = svg("circle", { class: "mp-dot mp-reference", cx: x, r: 8 });
  const stem = svg("line", { class: "softmax-stem", x1: x, x2: x, y1: logitY(0) });
  const bar = svg("rect", { class: "softmax-bar", x: x - 14, width: 28 });
  const outline = svg("path", { class: "softmax-outline" });
  const [logit, probability, name] = [
    text(x, TOP - 8),
    text(x),
    text(x, NONE + 16, `class ${index[1]}`),
  ];
  const drag = (event) => {
    const box = root.ownerSVGElement.getBoundingClientRect();
    const y = ((event.clientY - box.top) / box.height) * HEIGHT;
    const value = SHOWN - ((y - TOP) / (FLOOR - TOP)) * 2 * SHOWN;
    ondrag(within(Math.round(value / STEP) * STEP, SHOWN));
  };
  let now = 0;
  const hit = svg("rect", {
    class: "softmax-hit",
    x: x - COLUMN / 2,
    y: TOP - 20,
    width: COLUMN,
    height: FLOOR - TOP + 20,
    onpointerdown: (event) => {
      hit.setPointerCapture(event.pointerId);
      drag(event);
    },
    onpointermove: (event) => {
      if (event.buttons) drag(event);
    },
  });
  const root = svg(
    "g",
    {
      role: "slider",
      tabindex: 0,
      "aria-label": `logit, sample ${index[0]}, class ${index[1]}, position ${index[2]}`,
      "aria-orientation": "vertical",
      "aria-valuemin": -LIMIT,
      "aria-valuemax": LIMIT,
      onpointerenter: onpoint,
      onfocus: onpoint,
      onkeydown: (event) => {
        const up = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1 }[event.key];
        if (!up) return;
        event.preventDefault();
        ondrag(within(now + up * STEP, LIMIT));
      },
    },
    bar,
    outline,
    stem,
    dot,
    logit,
    probability,
    name,
    hit,
  );
  return {
    index,
    root,
    set(value, p, before, inside) {
      now = value;
      root.setAttribute("aria-valuenow", value);
      root.setAttribute("aria-valuetext", `${value}, probability ${format(p)}`);
      root.setAttribute("class", inside ? "softmax-inside" : "");
      dot.setAttribute("cy", logitY(value));
      stem.setAttribute("y2", logitY(value));
      bar.setAttribute("y", probabilityY(p));
      bar.setAttribute("height", NONE - probabilityY(p));
      outline.setAttribute("d", `M${x - 18},${probabilityY(before)}h36`);
      logit.textContent = `${value}`.replace("-", "−");
      probability.setAttribute("y", probabilityY(Math.max(p, before)) - 5);
      probability.textContent = `${inside ? "◆ " : ""}${format(p, 2)}`;
    },
  };
}

function picture(sample, columns) {
  const [zero, right] = [logitY(0), WIDTH - 4];
  const winners = [0, 1].map((k) => text(middle([0, 1, k]), NONE + 36));
  const leftToRight = [...columns].sort((a, b) => middle(a.index) - middle(b.index)); // for Tab
  const root = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "group", "aria-label": `Sample ${sample}` },
    svg("path", { class: "mp-axis", d: `M${LEFT},${TOP}V${FLOOR}M${LEFT},${zero}H${right}` }),
    svg("path", { class: "mp-axis", d: `M${LEFT},${FULL}V${NONE}H${right}` }),
    ...[SHOWN, 0, -SHOWN].map((v) => text(12, logitY(v) + 4, format(v, 0))),
    ...[1, 0].map((v) => text(12, probabilityY(v) + 4, `${v}`)),
    ...leftToRight.map((some) => some.root),
    ...winners,
  );
  return {
    root: el(
      "div",
      {},
      el("p", { class: "mp-soft" }, `Sample ${sample}: logits, to drag, and probabilities`),
      root,
    ),
    wins(classes) {
      classes.forEach((name, k) => {
        winners[k].textContent = `position ${k}: class ${name} wins`;
      });
    },
  };
}

function render({ model, el: host }) {
  let [pointed, before] = [[0, 0, 0], null];
  const now = () => softmax(model.get("logits").slice(0, model.get("samples")), model.get("dim"));
  const dim = choice(
    "Softmax over dimension",
    NAMES.map((name, d) => [d, `${d}, the ${name}`]),
    (d) => update(model, "dim", d),
  );
  const samples = choice(
    "Samples in the batch",
    [
      [2, "2"],
      [1, "1"],
    ],
    (count) => {
      pointed = [0, ...pointed.slice(1)];
      update(model, "samples", count);
    },
  );
  const change = (index, value) => {
    const logits = structuredClone(model.get("logits"));
    logits[index[0]][index[1]][index[2]] = value;
    update(model, "logits", logits);
  };
  const columns = INDICES.map((index) =>
    column(
      index,
      (value) => change(index, value),
      () => {
        pointed = index;
        paint();
      },
    ),
  );
  const pictures = [0, 1].map((i) =>
    picture(
      i,
      columns.filter(({ index }) => index[0] === i),
    ),
  );
  const [news, equation] = [el("p", { class: "softmax-news" }), el("p")];
  const strip = el("ul", { class: "softmax-strip" });

  // Another question: its probabilities are the ones to compare with.
  function restart() {
    before = now();
    paint();
  }

  function paint() {
    const [logits, d, probabilities] = [model.get("logits"), model.get("dim"), now()];
    const line = fibre(pointed, d, probabilities.length);
    dim.set(d);
    samples.set(probabilities.length);
    // Hidden, and its room kept: nothing may move.
    pictures[1].root.style.visibility = probabilities.length === 2 ? "" : "hidden";
    probabilities.forEach((some, i) => pictures[i].wins([0, 1].map((k) => winner(some, k))));
    for (const { index, set } of columns) {
      if (index[0] >= probabilities.length) continue;
      const inside = line.some((other) => `${other}` === `${index}`);
      set(at(logits, index), at(probabilities, index), at(before, index), inside);
    }
    const counts = probabilities.map(
      (_, i) => `${changed(before, probabilities, i)} of 6 in sample ${i}`,
    );
    news.textContent = `Probabilities that differ from their dashed line: ${counts.join(", ")}`;
    const terms = line.map((other) => format(at(probabilities, other)));
    equation.textContent = `◆ These compete, and sum to 1: ${terms.join(" + ")}`;
    strip.replaceChildren(
      ...NAMES.map((name, e) => {
        const [least, most] = [Math.min, Math.max].map((f) =>
          format(f(...sums(probabilities, e)), 2),
        );
        const range = least === most ? least : `${least} to ${most}`;
        return el("li", {}, `Summed over dimension ${e}, the ${name}: ${range}`);
      }),
    );
  }
  const reset = resetButton(model, { logits: START, samples: 2, dim: 1 }, restart);
  host.append(
    el(
      "div",
      { class: "mp softmax", role: "group", "aria-label": "Softmax explorer" },
      controls(dim.root, samples.root, el("div", { class: "mp-row" }, reset)),
      el("div", { class: "mp-grid" }, ...pictures.map(({ root }) => root)),
      news,
      equation,
      strip,
    ),
  );
  const stops = [follow(model, ["dim", "samples"], restart), follow(model, ["logits"], paint)];
  return () => stops.forEach((stop) => stop());
}

export default { render };
