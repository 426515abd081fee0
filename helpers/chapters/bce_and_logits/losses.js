// Shared by the widgets of this chapter. Arithmetic in float32, operation by operation, as
// PyTorch does it on a CPU.

export function sigmoid(x) {
  return f32(1 / f32(1 + f32(Math.exp(f32(-x)))));
}

// nn.BCELoss after a sigmoid: each logarithm is clamped at −100.
export function bce(x, y) {
  const p = sigmoid(x);
  const log = (v) => Math.max(f32(Math.log(v)), -100);
  return f32(f32(f32(f32(y) - 1) * log(f32(1 - p))) - f32(f32(y) * log(p)));
}

// nn.BCEWithLogitsLoss: max(x, 0) − x·y + log1p(e^−|x|).
export function bceWithLogits(x, y) {
  [x, y] = [f32(x), f32(y)];
  return f32(f32(Math.max(x, 0) - f32(x * y)) + f32(Math.log1p(f32(Math.exp(-Math.abs(x))))));
}

// Gradient with respect to the logit, through sigmoid and then BCELoss. Its
// backward divides by p(1 − p), but never by less than 1e-12.
export function bceGradient(x, y) {
  const p = sigmoid(x);
  const q = f32(1 - p);
  const byProbability = f32(f32(p - f32(y)) / Math.max(f32(q * p), f32(1e-12)));
  return f32(f32(byProbability * q) * p);
}

export function logitsGradient(x, y) {
  return f32(sigmoid(x) - f32(y));
}

export const PAIRS = [
  { role: "pitfall", name: "sigmoid + BCELoss", loss: bce, gradient: bceGradient },
  { role: "correct", name: "BCEWithLogitsLoss", loss: bceWithLogits, gradient: logitsGradient },
];

// A table with a column for each loss: `fill` takes a row of two texts for each of `names`.
function comparison(names) {
  const heads = PAIRS.map(({ role, name }) => {
    const key = el("span", { class: `mp-key mp-${role}`, "aria-hidden": "true" });
    const parts = name
      .split("Logits")
      .flatMap((part) => [el("wbr"), "Logits", part])
      .slice(2);
    return el("th", { scope: "col", class: `mp-${role}` }, key, ...parts);
  });
  const title = el("td");
  const rows = names.map((name) => ({
    head: el("th", { scope: "row" }, name),
    cells: PAIRS.map(() => el("td")),
  }));
  const root = el(
    "table",
    {},
    el("thead", {}, el("tr", {}, title, ...heads)),
    el("tbody", {}, ...rows.map(({ head, cells }) => el("tr", {}, head, ...cells))),
  );
  return {
    root,
    title,
    fill(texts) {
      rows.forEach(({ cells }, i) => {
        cells.forEach((cell, j) => {
          cell.textContent = texts[i][j];
        });
      });
    },
  };
}
