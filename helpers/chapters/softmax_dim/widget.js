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

// How far one sample's probabilities are from another tensor's.
export function moved(before, after, sample) {
  return Math.max(
    ...INDICES.filter(([i]) => i === sample).map((index) =>
      Math.abs(at(before, index) - at(after, index)),
    ),
  );
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

function render({ model, el: host }) {
  let pointed = [0, 0, 0];
  const dim = choice(
    "Softmax over dimension",
    NAMES.map((name, d) => [d, `${d}, the ${name}`]),
    (d) => {
      news.textContent = "";
      update(model, "dim", d);
    },
  );
  const samples = choice(
    "Samples in the batch",
    [
      [2, "2"],
      [1, "1"],
    ],
    (count) => {
      news.textContent = "";
      pointed = [0, ...pointed.slice(1)];
      update(model, "samples", count);
    },
  );
  const batch = (logits) => logits.slice(0, model.get("samples"));
  const news = el("p", { "aria-live": "polite" });
  const change = (sample, next) => {
    const other = 1 - sample;
    if (model.get("samples") === 2) {
      const [before, after] = [model.get("logits"), next].map((t) => softmax(t, model.get("dim")));
      const distance = format(moved(before, after, other));
      news.textContent = `You changed sample ${sample}: sample ${other} moved by ${distance}.`;
    }
    update(model, "logits", next);
  };
  const cells = INDICES.map((index) => {
    const where = `sample ${index[0]}, class ${index[1]}, position ${index[2]}`;
    const field = numberField(
      `logit, ${where}`,
      0.5,
      (v) => -20 <= v && v <= 20,
      (value) =>
        change(
          index[0],
          model
            .get("logits")
            .map((block, i) =>
              block.map((row, j) =>
                row.map((old, k) => (`${[i, j, k]}` === `${index}` ? value : old)),
              ),
            ),
        ),
    );
    const output = el("output");
    const point = () => {
      pointed = index;
      paint();
    };
    return {
      index,
      field,
      output,
      root: el("td", { onpointerenter: point, onfocusin: point }, field.root, output),
    };
  });
  const winners = [0, 1].map(() => [0, 1].map(() => el("td")));
  const blocks = [0, 1].map((i) =>
    el(
      "table",
      { class: "softmax-table" },
      el("caption", {}, `Sample ${i}: logit, and below it its probability`),
      el(
        "thead",
        {},
        el("tr", {}, el("td"), ...[0, 1].map((k) => el("th", { scope: "col" }, `position ${k}`))),
      ),
      el(
        "tbody",
        {},
        ...[0, 1, 2].map((j) =>
          el(
            "tr",
            {},
            el("th", { scope: "row" }, `class ${j}`),
            ...cells.filter((c) => c.index[0] === i && c.index[1] === j).map((c) => c.root),
          ),
        ),
      ),
      el("tfoot", {}, el("tr", {}, el("th", { scope: "row" }, "wins"), ...winners[i])),
    ),
  );
  const equation = el("p");
  const strip = el("ul", { class: "softmax-strip" });

  function paint() {
    const [logits, d] = [model.get("logits"), model.get("dim")];
    const probabilities = softmax(batch(logits), d);
    const line = fibre(pointed, d, probabilities.length);
    dim.set(d);
    samples.set(probabilities.length);
    // Hidden, and its room kept: nothing may move.
    blocks[1].style.visibility = probabilities.length === 2 ? "" : "hidden";
    probabilities.forEach((some, i) =>
      winners[i].forEach((cell, k) => {
        cell.textContent = `class ${winner(some, k)}`;
      }),
    );
    for (const { index, field, output, root } of cells) {
      if (index[0] >= probabilities.length) continue;
      const inside = line.some((other) => `${other}` === `${index}`);
      field.set(at(logits, index));
      output.textContent = `${inside ? "◆ " : ""}${format(at(probabilities, index))}`;
      root.className = inside ? "softmax-inside" : "";
    }
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
  const reset = resetButton(model, { logits: START, samples: 2, dim: 1 }, () => {
    news.textContent = "";
  });
  host.append(
    el(
      "div",
      { class: "mp softmax", role: "group", "aria-label": "Softmax explorer" },
      controls(dim.root, samples.root, el("div", { class: "mp-row" }, reset)),
      el("div", { class: "mp-grid" }, ...blocks),
      equation,
      news,
      strip,
    ),
  );
  return follow(model, ["logits", "dim", "samples"], paint);
}

export default { render };
