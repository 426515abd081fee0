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

export function samples(f, y, [low, high], count = 600) {
  return Array.from({ length: count + 1 }, (_, i) => low + ((high - low) * i) / count).map((x) => [
    x,
    f(x, y),
  ]);
}

// --- the page ---

const START = {
  values: [
    [0.3992, 0.2232, 0.6435],
    [0.38, 0.3044, 0.3241],
  ],
  targets: [
    [0, 1, 1],
    [0, 0, 1],
  ],
  kind: "probabilities",
};

const NOTES = {
  probabilities: "mean over the batch, by BCELoss",
  logits: "mean over the batch, by BCEWithLogitsLoss",
  error: "BCELoss raises: all elements of input should be between 0 and 1",
};

function table(model) {
  const typeable = (value) => -60 <= value && value <= 60;
  const usable = (value) => model.get("kind") === "logits" || (0 <= value && value <= 1);
  const replace = (name, i, j, value) =>
    update(
      model,
      name,
      model.get(name).map((row, r) => row.map((old, c) => (r === i && c === j ? value : old))),
    );
  const cell = (i, j) => {
    const where = `sample ${i + 1}, label ${j + 1}`;
    const field = numberField(`value, ${where}`, 0.01, typeable, (value) =>
      replace("values", i, j, value),
    );
    const flip = el("button", {
      type: "button",
      onclick: () => replace("targets", i, j, 1 - model.get("targets")[i][j]),
    });
    const term = el("output", {});
    return { field, flip, term, where, root: el("td", {}, field.root, flip, term) };
  };
  const cells = [0, 1].map((i) => [0, 1, 2].map((j) => cell(i, j)));
  const rowMeans = [0, 1].map(() => el("output"));
  const total = el("span", { class: "mp-total" });
  const note = el("span", { class: "mp-soft" });

  function paint() {
    const [values, targets, kind] = ["values", "targets", "kind"].map((name) => model.get(name));
    const losses = terms(values, targets, kind);
    const sound = values.flat().every(usable);
    cells.forEach((row, i) =>
      row.forEach(({ field, flip, term, where }, j) => {
        field.set(values[i][j], !usable(values[i][j]));
        flip.textContent = targets[i][j] ? "● 1" : "○ 0";
        flip.setAttribute("aria-label", `target, ${where}: ${targets[i][j]}; press to change`);
        term.textContent = usable(values[i][j]) ? format(losses[i][j]) : "error";
      }),
    );
    losses.forEach((row, i) => {
      rowMeans[i].textContent = sound ? format(mean(row)) : "–";
    });
    total.textContent = sound ? format(mean(losses.map(mean))) : "error";
    note.textContent = NOTES[sound ? kind : "error"];
  }
  const root = el(
    "div",
    {},
    el(
      "table",
      { class: "bce-table" },
      el(
        "caption",
        {},
        "Two samples: in each cell a value, its target (press to change) and its cost",
      ),
      el(
        "tbody",
        {},
        ...cells.map((row, i) =>
          el(
            "tr",
            {},
            ...row.map((c) => c.root),
            el("td", { class: "mp-mean" }, el("span", {}, "row mean"), rowMeans[i]),
          ),
        ),
      ),
    ),
    el("p", { class: "mp-row", "aria-live": "polite" }, total, note),
  );
  return { root, paint };
}

const RANGES = {
  whole: { x: [-100, 100], xTicks: [-100, -50, 0, 50, 100], start: 16 },
  cliff: { x: [15, 18], xTicks: [15, 16, 17, 18], start: 15.5 },
};

function oneLogit(model) {
  let range = RANGES.whole;
  const target = choice(
    "Target",
    [
      [0, "○ 0"],
      [1, "● 1"],
    ],
    (value) => update(model, "target", value),
  );
  const zoom = choice(
    "Range",
    [
      ["whole", "−100 to 100"],
      ["cliff", "15 to 18"],
    ],
    (name) => {
      range = RANGES[name];
      zoom.set(name);
      logit.limit(...range.x);
      const at = model.get("logit");
      if (at < range.x[0] || at > range.x[1]) update(model, "logit", range.start);
      paint();
    },
  );
  const logit = slider("Logit", { min: -100, max: 100, step: 0.01 }, (value) =>
    update(model, "logit", value),
  );
  const charts = el("div", { class: "mp-grid" });
  const numbers = [0, 1, 2, 3].map(() => el("td"));
  const row = (role, name, cells) =>
    el(
      "tr",
      {},
      el(
        "th",
        { scope: "row", class: `bce-name mp-${role}` },
        el("span", { class: `mp-key mp-${role}`, "aria-hidden": "true" }),
        name,
      ),
      ...cells,
    );

  function paint() {
    const [y, at] = [model.get("target"), model.get("logit")];
    target.set(y);
    logit.set(at);
    const { x, xTicks } = range;
    const losses = { title: "loss", x, xTicks, xLabel: "logit", y: [0, 105], yTicks: [0, 50, 100] };
    const slopes = {
      title: "gradient",
      x,
      xTicks,
      xLabel: "logit",
      y: [-1.05, 1.05],
      yTicks: [-1, 0, 1],
    };
    const curves = [
      [losses, bce_of_sigmoid, bceWithLogits],
      [slopes, bceGradient, logitsGradient],
    ];
    charts.replaceChildren(
      ...curves.map(([axes, pitfall, correct]) => {
        const chart = plot(
          x[0] === 15 && axes === losses
            ? { ...axes, y: [14, 20], yTicks: [14, 16, 18, 20] }
            : axes,
        );
        chart.draw([
          { role: "correct", points: samples(correct, y, x) },
          { role: "pitfall", points: samples(pitfall, y, x) },
        ]);
        chart.mark(at);
        return chart.root;
      }),
    );
    [
      bce_of_sigmoid(at, y),
      bceGradient(at, y),
      bceWithLogits(at, y),
      logitsGradient(at, y),
    ].forEach((value, i) => {
      numbers[i].textContent = format(value);
    });
  }
  zoom.set("whole");
  const root = el(
    "div",
    {},
    el("div", { class: "mp-row" }, target.root, zoom.root),
    logit.root,
    el(
      "table",
      { "aria-live": "polite" },
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          el("th", { scope: "col" }, "float32"),
          el("th", { scope: "col" }, "loss"),
          el("th", { scope: "col" }, "gradient"),
        ),
      ),
      el(
        "tbody",
        {},
        row("pitfall", "sigmoid + BCELoss", numbers.slice(0, 2)),
        row("correct", "BCEWithLogitsLoss", numbers.slice(2)),
      ),
    ),
    charts,
  );
  return { root, paint };
}

function bce_of_sigmoid(x, y) {
  return bce(sigmoid(x), y);
}

function render({ model, el: host }) {
  const kind = choice(
    "The values are",
    [
      ["probabilities", "probabilities"],
      ["logits", "logits"],
    ],
    (value) => update(model, "kind", value),
  );
  const reset = el(
    "button",
    {
      type: "button",
      onclick: () => {
        for (const name in START) update(model, name, START[name]);
      },
    },
    "Reset",
  );
  const [grid, single] = [table(model), oneLogit(model)];
  host.append(
    el(
      "div",
      { class: "mp bce", role: "group", "aria-label": "BCE explorer" },
      el("div", { class: "mp-row bce-head" }, kind.root, reset),
      grid.root,
      el("hr"),
      el("p", {}, el("strong", {}, "One logit, two losses")),
      single.root,
    ),
  );
  const stops = [
    follow(model, ["values", "targets", "kind"], () => {
      kind.set(model.get("kind"));
      grid.paint();
    }),
    follow(model, ["target", "logit"], single.paint),
  ];
  return () => stops.forEach((stop) => stop());
}

export default { render };
