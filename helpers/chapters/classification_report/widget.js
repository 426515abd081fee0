// --- arithmetic: rows of a matrix are the truth, columns the prediction ---

const sum = (numbers) => numbers.reduce((total, n) => total + n, 0);
const column = (matrix, c) => matrix.map((row) => row[c]);
const METRICS = ["precision", "recall", "f1-score"];

export function transpose(matrix) {
  return matrix.map((_, c) => column(matrix, c));
}

// The same counts with more classes, or the first ones of fewer.
export function resize(matrix, size) {
  return Array.from({ length: size }, (_, i) =>
    Array.from({ length: size }, (_, j) => matrix[i]?.[j] ?? 0),
  );
}

// The cells of a number's numerator and, besides these, of its denominator.
export function cellsOf(matrix, row, metric) {
  const all = matrix.flatMap((line, i) => line.map((_, j) => [i, j]));
  const c = Number(row);
  const uses = {
    precision: ([, j]) => j === c,
    recall: ([i]) => i === c,
    "f1-score": ([i, j]) => i === c || j === c,
  };
  if (metric === "support")
    return { top: Number.isNaN(c) ? all : all.filter(uses.recall), rest: [] };
  const used = Number.isNaN(c) ? all : all.filter(uses[metric]);
  return { top: used.filter(([i, j]) => i === j), rest: used.filter(([i, j]) => i !== j) };
}

const atCells = (matrix, cells) => cells.map(([i, j]) => matrix[i][j]);

function ratio(matrix, row, metric, zero) {
  const { top, rest } = cellsOf(matrix, row, metric);
  const hits = (metric === "f1-score" && row !== "accuracy" ? 2 : 1) * sum(atCells(matrix, top));
  const all = hits + sum(atCells(matrix, rest));
  return all === 0 ? zero : hits / all;
}

// What scikit-learn averages: nan is left out; weights that are all 0 do not count.
export function average(values, weights) {
  const kept = values
    .map((value, i) => [value, weights[i]])
    .filter(([value]) => !Number.isNaN(value));
  const total = sum(kept.map(([, weight]) => weight));
  if (total === 0) return sum(kept.map(([value]) => value)) / kept.length;
  return sum(kept.map(([value, weight]) => value * weight)) / total;
}

// The whole report; zero is what 0 / 0 counts as: 0, 1 or NaN.
export function report(matrix, zero) {
  const classes = matrix.map((line, c) => ({
    ...Object.fromEntries(
      METRICS.map((metric) => [metric, ratio(matrix, String(c), metric, zero)]),
    ),
    support: sum(line),
  }));
  const support = classes.map((row) => row.support);
  const over = (weights) => ({
    ...Object.fromEntries(
      METRICS.map((metric) => [
        metric,
        average(
          classes.map((row) => row[metric]),
          weights,
        ),
      ]),
    ),
    support: sum(support),
  });
  return {
    ...Object.fromEntries(classes.map((row, c) => [String(c), row])),
    accuracy: { "f1-score": ratio(matrix, "accuracy", "f1-score", NaN), support: sum(support) },
    "macro avg": over(support.map(() => 1)),
    "weighted avg": over(support),
  };
}

// A number of the report, written out.
export function explain(matrix, zero, row, metric) {
  const all = report(matrix, zero);
  const shown = (value) => format(value, metric === "support" ? 0 : 3);
  const { top, rest } = cellsOf(matrix, row, metric);
  const [hits, others] = [atCells(matrix, top), atCells(matrix, rest)];
  const result = `= ${shown(all[row][metric])}`;
  if (metric === "support") return `${hits.join(" + ")} ${result}`;
  if (row === "accuracy") return `(${hits.join(" + ")}) / ${all.accuracy.support} ${result}`;
  if (Number.isNaN(Number(row))) {
    const kept = matrix.map((_, c) => all[c]).filter((line) => !Number.isNaN(line[metric]));
    const support = sum(kept.map((line) => line.support));
    const weighted = row === "weighted avg" && support > 0;
    const terms = kept.map((line) => (weighted ? `${line.support}·` : "") + shown(line[metric]));
    const note = kept.length < matrix.length ? ", nan left out" : "";
    const count = weighted ? support : kept.length;
    return `(${terms.join(" + ")}) / ${count} ${result}${note}`;
  }
  const hit = (metric === "f1-score" ? "2·" : "") + hits[0];
  if (hits[0] + sum(others) === 0)
    return `0 / 0, which counts as ${Number.isNaN(zero) ? "nan" : zero}`;
  return `${hit} / (${[hit, ...others].join(" + ")}) ${result}`;
}

// --- the page ---

const START = {
  matrix: [
    [1, 0],
    [2, 2],
  ],
  zero_division: "0",
};
const title = (metric) => (metric === "f1-score" ? "F1" : metric);
const whole = (value) => Number.isInteger(value) && 0 <= value && value <= 9999;

function render({ model, el: host }) {
  let [chosen, built, cells, numbers] = [null, 0, [], []];
  const classes = choice(
    "Classes",
    [2, 3, 4].map((n) => [n, String(n)]),
    (n) => update(model, "matrix", resize(model.get("matrix"), n)),
  );
  const zero = choice(
    "0 / 0 counts as",
    ["0", "1", "nan"].map((v) => [v, v]),
    (v) => update(model, "zero_division", v),
  );
  const [matrixTable, reportTable] = ["matrix", "numbers"].map((name) =>
    el("table", { class: `report-${name}` }),
  );
  const formula = el("p", { "aria-live": "polite" });
  const counts = el(
    "div",
    { class: "mp-row" },
    classes.root,
    el(
      "button",
      { type: "button", onclick: () => update(model, "matrix", transpose(model.get("matrix"))) },
      "Swap y_true and y_pred",
    ),
  );
  const reset = resetButton(model, START, () => {
    chosen = null;
    paint();
  });

  function cell(i, j) {
    const field = numberField(`truth ${i}, predicted ${j}`, 1, whole, (value) =>
      update(
        model,
        "matrix",
        model
          .get("matrix")
          .map((row, r) => row.map((old, c) => (r === i && c === j ? value : old))),
      ),
    );
    const sign = el("span", { "aria-hidden": "true" });
    return { i, j, set: field.set, sign, root: el("td", {}, sign, field.root) };
  }

  function number(row, metric) {
    const choose = () => {
      chosen = [row, metric];
      paint();
    };
    const button = el("button", {
      type: "button",
      onclick: choose,
      onfocus: choose,
      onpointerenter: choose,
    });
    numbers.push({ row, metric, button });
    return el("td", {}, button);
  }

  function build(size) {
    [cells, numbers] = [[], []];
    const ids = Array.from({ length: size }, (_, i) => i);
    const heads = (texts) =>
      el(
        "thead",
        {},
        el("tr", {}, el("td"), ...texts.map((text) => el("th", { scope: "col" }, text))),
      );
    const line = (text, ...tds) => el("tr", {}, el("th", { scope: "row" }, text), ...tds);
    cells = ids.flatMap((i) => ids.map((j) => cell(i, j)));
    matrixTable.replaceChildren(
      el("caption", {}, "Confusion matrix: each row a true class"),
      heads(ids.map((j) => `said ${j}`)),
      el(
        "tbody",
        {},
        ...ids.map((i) => line(`is ${i}`, ...cells.filter((c) => c.i === i).map((c) => c.root))),
      ),
    );
    const all = [...METRICS, "support"];
    reportTable.replaceChildren(
      el("caption", {}, "Report: point at a number"),
      heads(all.map(title)),
      el(
        "tbody",
        {},
        ...ids.map((i) => line(String(i), ...all.map((m) => number(String(i), m)))),
        line(
          "accuracy",
          el("td"),
          el("td"),
          number("accuracy", "f1-score"),
          number("accuracy", "support"),
        ),
        ...["macro avg", "weighted avg"].map((row) => line(row, ...all.map((m) => number(row, m)))),
      ),
    );
    if (!numbers.some((n) => `${[n.row, n.metric]}` === `${chosen}`)) chosen = null;
  }

  function written(matrix, nothing) {
    const whose = chosen[0].length === 1 ? `class ${chosen[0]}` : chosen[0];
    const name = `${chosen}` === "accuracy,f1-score" ? "accuracy" : `${title(chosen[1])}, ${whose}`;
    return [el("strong", {}, name), `: ${explain(matrix, nothing, ...chosen)}`];
  }

  function paint() {
    const [matrix, nothing] = [
      model.get("matrix"),
      { 0: 0, 1: 1, nan: NaN }[model.get("zero_division")],
    ];
    if (matrix.length !== built) {
      build(matrix.length);
      built = matrix.length;
    }
    const all = report(matrix, nothing);
    const { top, rest } = chosen ? cellsOf(matrix, ...chosen) : { top: [], rest: [] };
    const among = (list, { i, j }) => list.some(([r, c]) => r === i && c === j);
    for (const each of cells) {
      const role = among(top, each) ? "correct" : among(rest, each) ? "pitfall" : "";
      each.set(matrix[each.i][each.j]);
      each.sign.textContent = { correct: "◆", pitfall: "◇", "": "" }[role];
      each.root.className = role && `report-used-${role}`;
    }
    for (const { row, metric, button } of numbers) {
      button.textContent = format(all[row][metric], metric === "support" ? 0 : 3);
      button.setAttribute("aria-pressed", `${[row, metric]}` === `${chosen}`);
    }
    formula.replaceChildren(...(chosen ? written(matrix, nothing) : ["Point at a number."]));
    classes.set(matrix.length);
    zero.set(model.get("zero_division"));
  }
  host.append(
    el(
      "div",
      { class: "mp report", role: "group", "aria-label": "Report explorer" },
      controls(counts, el("div", { class: "mp-row" }, zero.root, reset)),
      el("div", { class: "mp-grid" }, matrixTable, reportTable),
      formula,
      el("p", { class: "mp-soft" }, "◆ counted · ◇ only in the denominator"),
    ),
  );
  return follow(model, ["matrix", "zero_division"], paint);
}

export default { render };
