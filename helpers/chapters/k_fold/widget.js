// --- arithmetic: `folds[i]` is the fold in which sample i is scored ---

export const CLASSES = Array.from({ length: 30 }, (_, i) => Math.floor(i / 10));
export const PEOPLE = Array.from({ length: 30 }, (_, i) => Math.floor(i / 2));
const SAMPLES = CLASSES.map((_, i) => i);

// How many samples of each class are scored in a fold.
export function counts(folds, fold) {
  return [0, 1, 2].map((c) => SAMPLES.filter((i) => folds[i] === fold && CLASSES[i] === c).length);
}

// The classes that are scored in a fold although its training set has none of them.
export function unseen(folds, fold) {
  return [0, 1, 2].filter(
    (c) =>
      counts(folds, fold)[c] > 0 && SAMPLES.every((i) => CLASSES[i] !== c || folds[i] === fold),
  );
}

// The samples scored in a fold whose person also gave a training sample.
export function shared(folds, fold) {
  return SAMPLES.filter(
    (i) => folds[i] === fold && SAMPLES.some((j) => PEOPLE[j] === PEOPLE[i] && folds[j] !== fold),
  );
}

const mean = (values) => values.reduce((total, v) => total + v, 0) / values.length;

// Of rows (seeds) of accuracies (folds): the mean of each fold and of all, and the
// standard deviation of the rows' means.
export function summary(rows) {
  const [all, each] = [mean(rows.flat()), rows.map(mean)];
  const spread = Math.sqrt(
    each.reduce((total, v) => total + (v - all) ** 2, 0) / (each.length - 1),
  );
  return { folds: rows[0].map((_, f) => mean(rows.map((row) => row[f]))), mean: all, spread };
}

// --- the page ---

const NAMES = ["A", "B", "C"];
const ROLES = ["extra", "reference", "ink"];
const [LEFT, CELL, ROW] = [46, 9.8, 24];

function strips(folds, k) {
  const heads = NAMES.map((name, c) =>
    svg("text", { x: LEFT + (c * 10 + 5) * CELL, y: 12, "text-anchor": "middle" }, `class ${name}`),
  );
  const rows = Array.from({ length: k }, (_, f) => {
    const leaks = shared(folds, f);
    return svg(
      "g",
      {},
      svg("text", { x: 0, y: 33 + f * ROW }, `fold ${f + 1}`),
      ...SAMPLES.map((i) => {
        const [x, y] = [LEFT + i * CELL, 18 + f * ROW];
        if (folds[i] !== f)
          return svg("rect", {
            class: `fold-train fold-${ROLES[CLASSES[i]]}`,
            x: x + 1,
            y: y + 9,
            width: CELL - 2,
            height: 3,
          });
        const box = svg("rect", {
          class: `fold-scored fold-${ROLES[CLASSES[i]]}`,
          x: x + 0.6,
          y,
          width: CELL - 1.2,
          height: 20,
        });
        const cross = leaks.includes(i)
          ? [
              svg(
                "text",
                { class: "fold-cross", x: x + CELL / 2, y: y + 14, "text-anchor": "middle" },
                "×",
              ),
            ]
          : [];
        return svg("g", {}, box, ...cross);
      }),
    );
  });
  return svg(
    "svg",
    { viewBox: `0 0 340 ${20 + k * ROW}`, "aria-hidden": "true", focusable: "false" },
    ...heads,
    ...rows,
  );
}

function verdict(folds, k) {
  const all = Array.from({ length: k }, (_, f) => f);
  const blind = all.filter((f) => unseen(folds, f).length).length;
  const leaks = all.reduce((total, f) => total + shared(folds, f).length, 0);
  if (blind)
    return [
      "pitfall",
      `✗ In ${blind} of ${k} folds a class is scored that the training set lacks.`,
    ];
  if (leaks)
    return [
      "pitfall",
      `✗ ${leaks} of 30 samples are scored by a model that was trained on the same person.`,
    ];
  return [
    "correct",
    "✓ Every class is trained on before it is scored, and nobody is on both sides.",
  ];
}

function render({ model, el: host }) {
  const splitter = choice(
    "Splitter",
    ["KFold", "StratifiedKFold", "StratifiedGroupKFold"].map((n) => [n, n]),
    (v) => update(model, "splitter", v),
  );
  const shuffle = choice(
    "Shuffle",
    [
      [false, "no"],
      [true, "yes"],
    ],
    (v) => update(model, "shuffle", v),
  );
  const splits = choice(
    "Folds",
    [
      [3, "3"],
      [5, "5"],
    ],
    (v) => update(model, "n_splits", v),
  );
  const fresh = choice(
    "Model",
    [
      [false, "one for all folds"],
      [true, "a new one for each fold"],
    ],
    (v) => update(model, "fresh", v),
  );
  const [picture, chart, news] = [
    el("div"),
    el("div", { class: "fold-chart" }),
    el("p", { "aria-live": "polite" }),
  ];
  const [body, outcome] = [el("tbody"), el("p", { "aria-live": "polite" })];
  const cells = (name, values) =>
    el("tr", {}, el("th", { scope: "row" }, name), ...values.map((v) => el("td", {}, String(v))));

  function paint() {
    const [name, mixed, k, isNew, runs] = ["splitter", "shuffle", "n_splits", "fresh", "runs"].map(
      (key) => model.get(key),
    );
    const folds = model.get("folds")[`${name} ${mixed} ${k}`.toLowerCase()];
    for (const [control, value] of [
      [splitter, name],
      [shuffle, mixed],
      [splits, k],
      [fresh, isNew],
    ])
      control.set(value);
    picture.replaceChildren(strips(folds, k));
    body.replaceChildren(
      ...Array.from({ length: k }, (_, f) =>
        cells(`fold ${f + 1}`, [...counts(folds, f), shared(folds, f).length]),
      ),
    );
    const [role, text] = verdict(folds, k);
    news.replaceChildren(el("strong", { class: `mp-${role}` }, text));
    paintRuns(runs[isNew ? "new" : "kept"]?.[k], isNew, k);
  }
  function paintRuns(rows, isNew, k) {
    if (!rows) {
      outcome.textContent = "No recorded runs: pass runs=.";
      chart.replaceChildren();
      return;
    }
    const found = summary(rows);
    const axes = plot({
      title: `accuracy in %, ${rows.length} seeds`,
      x: [1, k],
      y: [0, 104],
      xTicks: found.folds.map((_, f) => f + 1),
      yTicks: [0, 25, 50, 75, 100],
      xLabel: "fold",
    });
    const points = (values) => values.map((v, f) => [f + 1, v]);
    axes.draw([
      {
        role: "reference",
        points: [
          [1, 50],
          [k, 50],
        ],
      },
      ...rows.map((row) => ({
        role: `${isNew ? "correct" : "pitfall"} fold-seed`,
        points: points(row),
      })),
      { role: isNew ? "correct" : "pitfall", points: points(found.folds) },
    ]);
    axes.mark(1);
    chart.replaceChildren(axes.root);
    outcome.replaceChildren(
      `Folds 1 to ${k}, in %: ${found.folds.map((v) => format(v, 0)).join(" · ")}. `,
      el(
        "strong",
        { class: `mp-${isNew ? "correct" : "pitfall"}` },
        `Reported: ${format(found.mean, 0)}%`,
      ),
      ` ± ${format(found.spread, 0)} over the seeds; a coin gets 50%.`,
    );
  }
  host.append(
    el(
      "div",
      { class: "mp folds", role: "group", "aria-label": "Fold explorer" },
      controls(splits.root, shuffle.root, splitter.root),
      el(
        "p",
        { class: "mp-soft" },
        "Tall: scored. Flat: trained on. ×: the same person is in training too; " +
          "each gave two neighbouring samples.",
      ),
      el(
        "div",
        { class: "mp-figure" },
        picture,
        el(
          "table",
          {},
          el(
            "thead",
            {},
            el(
              "tr",
              {},
              el("td"),
              ...["A", "B", "C", "× shared"].map((head) => el("th", { scope: "col" }, head)),
            ),
          ),
          body,
        ),
      ),
      news,
      el("hr"),
      el(
        "p",
        { class: "mp-soft" },
        "Recorded on coin-flip labels, split by StratifiedKFold. Thin: one seed. " +
          "Thick: their mean. Dotted: chance.",
      ),
      controls(fresh.root),
      el("div", { class: "mp-figure" }, chart, outcome),
    ),
  );
  return follow(model, ["splitter", "shuffle", "n_splits", "fresh", "folds", "runs"], paint);
}

export default { render };
