
// --- arithmetic: float32, operation by operation, as PyTorch does it on a CPU ---

export function sigmoid(x) {
  return f32(1 / f32(1 + f32(Math.exp(f32(-x)))));
}

// nn.BCELoss: each logarithm is clamped at −100.
export function bce(p, y) {
  [p, y] = [f32(p), f32(y)];
  const log = (v) => Math.max(f32(Math.log(v)), -100);
  return f32(f32(f32(y - 1) * log(f32(1 - p))) - f32(y * log(p)));
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

export function terms(values, targets, kind) {
  const term = kind === "logits" ? bceWithLogits : bce;
  return values.map((row, i) => row.map((value, j) => term(value, targets[i][j])));
}

export function mean(numbers) {
  return numbers.reduce((sum, n) => sum + n, 0) / numbers.length;
}

// Equal steps, and both sides of the cliff at 24·ln 2 so that the jump is upright.
export function samples(f, y) {
  const xs = [];
  for (let x = -60; x <= 60; x += 0.25) {
    xs.push(x);
    if (x === 16.5) xs.push(16.6355, 16.6356);
  }
  return xs.map((x) => [x, f(x, y)]);
}

// --- the page ---

const START = { values: [[0.3992, 0.2232, 0.6435], [0.38, 0.3044, 0.3241]], targets: [[0, 1, 1], [0, 0, 1]], kind: "probabilities" };

function table(model) {
  const allowed = (value) => value >= (model.get("kind") === "logits" ? -60 : 0) && value <= (model.get("kind") === "logits" ? 60 : 1);
  const replace = (name, i, j, value) =>
    update(model, name, model.get(name).map((row, r) => row.map((old, c) => (r === i && c === j ? value : old))));
  const cell = (i, j) => {
    const where = `row ${i + 1}, column ${j + 1}`;
    const input = el("input", { type: "number", step: 0.01, "aria-label": `value, ${where}`,
      oninput: () => {
        const typed = parse(input.value);
        input.setAttribute("aria-invalid", !allowed(typed));
        if (allowed(typed)) replace("values", i, j, typed);
      },
      onblur: () => paint() });
    const flip = el("button", { type: "button", onclick: () => replace("targets", i, j, 1 - model.get("targets")[i][j]) });
    const term = el("output", {});
    return { input, flip, term, where, root: el("td", {}, input, flip, term) };
  };
  const cells = [0, 1].map((i) => [0, 1, 2].map((j) => cell(i, j)));
  const rowMeans = [0, 1].map(() => el("td", { class: "mp-mean" }));
  const total = el("span", { class: "mp-total mp-correct" });
  const note = el("span", { class: "mp-soft" });

  function paint() {
    const [values, targets, kind] = ["values", "targets", "kind"].map((name) => model.get(name));
    const losses = terms(values, targets, kind);
    cells.forEach((row, i) => row.forEach(({ input, flip, term, where }, j) => {
      if (document.activeElement !== input) input.value = values[i][j];
      const usable = allowed(values[i][j]);
      if (document.activeElement !== input || !usable) input.setAttribute("aria-invalid", !usable);
      flip.textContent = targets[i][j] ? "● 1" : "○ 0";
      flip.setAttribute("aria-label", `target, ${where}: ${targets[i][j]}; press to change`);
      term.textContent = usable ? format(losses[i][j]) : "error";
    }));
    losses.forEach((row, i) => { rowMeans[i].textContent = format(mean(row)); });
    const usable = values.flat().every(allowed);
    if (!usable) rowMeans.forEach((node) => { node.textContent = "–"; });
    total.textContent = usable ? format(mean(losses.map(mean))) : "error";
    note.textContent = usable ? "mean over the batch" : "BCELoss raises: all elements of input should be between 0 and 1";
  }
  const root = el("div", {},
    el("div", { class: "mp-scroll" }, el("table", { class: "bce-table" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col", colspan: 3 }, "value, target, term"), el("th", { scope: "col" }, "row mean"))),
      el("tbody", {}, ...cells.map((row, i) => el("tr", {}, ...row.map((c) => c.root), rowMeans[i]))))),
    el("p", { class: "mp-row", "aria-live": "polite" }, total, note));
  return { root, paint };
}

function oneLogit(model) {
  const x = [-60, 60], xTicks = [-60, -30, 0, 30, 60], xLabel = "logit";
  const loss = plot({ title: "loss", x, y: [0, 105], xTicks, yTicks: [0, 50, 100], xLabel });
  const gradient = plot({ title: "gradient", x, y: [-1.05, 1.05], xTicks, yTicks: [-1, 0, 1], xLabel });
  const target = choice("Target", [[0, "○ 0"], [1, "● 1"]], (value) => update(model, "target", value));
  const logit = slider("Logit", { min: -60, max: 60, step: 0.01 }, (value) => update(model, "logit", value));
  const numbers = [0, 1, 2, 3].map(() => el("td"));
  const row = (role, name, cells) => el("tr", {}, el("th", { scope: "row", class: `mp-${role}` },
    el("span", { class: `mp-key mp-${role}`, "aria-hidden": "true" }), name), ...cells);

  function paint() {
    const [y, at] = [model.get("target"), model.get("logit")];
    target.set(y);
    logit.set(at);
    const pairs = [[loss, bce_of_sigmoid, bceWithLogits], [gradient, bceGradient, logitsGradient]];
    for (const [chart, pitfall, correct] of pairs) {
      chart.draw([{ role: "correct", points: samples(correct, y) }, { role: "pitfall", points: samples(pitfall, y) }]);
      chart.mark(at);
    }
    [bce_of_sigmoid(at, y), bceGradient(at, y), bceWithLogits(at, y), logitsGradient(at, y)]
      .forEach((value, i) => { numbers[i].textContent = format(value); });
  }
  const root = el("div", {}, el("div", { class: "mp-row" }, target.root), logit.root,
    el("table", { "aria-live": "polite" },
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "float32"), el("th", { scope: "col" }, "loss"), el("th", { scope: "col" }, "gradient"))),
      el("tbody", {}, row("pitfall", "sigmoid + BCELoss", numbers.slice(0, 2)), row("correct", "BCEWithLogitsLoss", numbers.slice(2)))),
    el("div", { class: "mp-grid" }, loss.root, gradient.root));
  return { root, paint };
}

function bce_of_sigmoid(x, y) {
  return bce(sigmoid(x), y);
}

function render({ model, el: host }) {
  const kind = choice("The values are", [["probabilities", "probabilities"], ["logits", "logits"]], (value) => update(model, "kind", value));
  const reset = el("button", { type: "button", onclick: () => { for (const name in START) update(model, name, START[name]); } }, "Reset");
  const [grid, single] = [table(model), oneLogit(model)];
  host.append(el("div", { class: "mp bce", role: "group", "aria-label": "BCE explorer" },
    el("div", { class: "mp-row bce-head" }, kind.root, reset), grid.root, el("hr"),
    el("p", {}, el("strong", {}, "One logit, two losses")), single.root));
  const stops = [
    follow(model, ["values", "targets", "kind"], () => { kind.set(model.get("kind")); grid.paint(); }),
    follow(model, ["target", "logit"], single.paint),
  ];
  return () => stops.forEach((stop) => stop());
}

export default { render };
