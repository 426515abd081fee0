// --- arithmetic: a tensor is a nested list, samples × classes × positions ---

const SHAPE = [2, 3, 2];
const INDICES = SHAPE.reduce(
  (all, size) => all.flatMap((index) => Array.from({ length: size }, (_, i) => [...index, i])),
  [[]],
);
const at = (tensor, [i, j, k]) => tensor[i][j][k];

// The indices that differ from `index` along `dim` alone, itself included.
export function fibre(index, dim) {
  return Array.from({ length: SHAPE[dim] }, (_, i) => index.map((old, d) => (d === dim ? i : old)));
}

// torch.softmax in float32: minus the largest, exponentials, over their sum.
export function softmax(logits, dim) {
  const one = (index) => {
    const line = fibre(index, dim).map((other) => f32(at(logits, other)));
    const largest = Math.max(...line);
    const sum = line.reduce((total, v) => f32(total + f32(Math.exp(f32(v - largest)))), 0);
    return f32(f32(Math.exp(f32(f32(at(logits, index)) - largest))) / sum);
  };
  return logits.map((block, i) => block.map((row, j) => row.map((_, k) => one([i, j, k]))));
}

// The sum of every fibre along a dimension, each once.
export function sums(probabilities, dim) {
  return INDICES.filter((index) => index[dim] === 0).map((index) =>
    fibre(index, dim).reduce((total, other) => total + at(probabilities, other), 0),
  );
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
  const news = el("p", { "aria-live": "polite" });
  const change = (sample, next) => {
    const [before, d] = [softmax(model.get("logits"), model.get("dim")), model.get("dim")];
    const other = 1 - sample;
    const distance = format(moved(before, softmax(next, d), other));
    news.textContent = `You changed sample ${sample}: sample ${other} moved by ${distance}.`;
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
  const block = (i) =>
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
    );
  const equation = el("p");
  const strip = el("ul", { class: "softmax-strip" });

  function paint() {
    const [logits, d] = [model.get("logits"), model.get("dim")];
    const probabilities = softmax(logits, d);
    const line = fibre(pointed, d);
    dim.set(d);
    for (const { index, field, output, root } of cells) {
      const inside = line.some((other) => `${other}` === `${index}`);
      field.set(at(logits, index));
      output.textContent = `${inside ? "◆ " : ""}${format(at(probabilities, index))}`;
      root.className = inside ? "softmax-inside" : "";
    }
    const terms = line.map((other) => format(at(probabilities, other)));
    equation.textContent = `◆ These compete, and sum to 1: ${terms.join(" + ")}`;
    strip.replaceChildren(
      ...NAMES.map((name, e) => {
        const all = sums(probabilities, e);
        const ones = all.every((sum) => Math.abs(sum - 1) < 1e-5);
        return el(
          "li",
          {},
          `Summed over dimension ${e}, the ${name}: `,
          e === d
            ? el("strong", { class: "mp-correct" }, `${ones ? "✓" : "✗"} always 1`)
            : `${format(Math.min(...all), 2)} to ${format(Math.max(...all), 2)}`,
        );
      }),
    );
  }
  const same = el(
    "button",
    { type: "button", onclick: () => change(1, [model.get("logits")[0], model.get("logits")[0]]) },
    "Make sample 1 equal to sample 0",
  );
  const reset = resetButton(model, { logits: START }, () => (news.textContent = ""));
  host.append(
    el(
      "div",
      { class: "mp softmax", role: "group", "aria-label": "Softmax explorer" },
      controls(dim.root, el("div", { class: "mp-row" }, same, reset)),
      el("div", { class: "mp-grid" }, block(0), block(1)),
      equation,
      news,
      strip,
    ),
  );
  return follow(model, ["logits", "dim"], paint);
}

export default { render };
