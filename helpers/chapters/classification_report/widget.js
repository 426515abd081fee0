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

// What a threshold makes of the scores of class 0 and of class 1.
export function matrixAt(scores, threshold) {
  return scores.map((list) => {
    const above = list.filter((score) => score > threshold).length;
    return [list.length - above, above];
  });
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
  threshold: 0,
  zero_division: "0",
};
const title = (metric) => (metric === "f1-score" ? "F1" : metric);
const whole = (value) => Number.isInteger(value) && 0 <= value && value <= 9999;

// Every sample as a mark on a line: a dot if the threshold has it right, a cross if not.
function strip(scores, threshold, [low, high]) {
  const [width, left, right] = [340, 46, 8];
  const px = (v) => left + ((v - low) / (high - low)) * (width - left - right);
  const marks = { correct: "", pitfall: "" };
  scores.forEach((list, c) =>
    list.forEach((score, i) => {
      const [x, y] = [px(score).toFixed(1), (72 - 60 * c + ((i * 0.618) % 1) * 38).toFixed(1)];
      if (score > threshold === (c === 1)) marks.correct += `M${x},${y}h0`;
      else marks.pitfall += `M${x - 2.5},${y - 2.5}l5,5m0,-5l-5,5`;
    }),
  );
  return svg(
    "svg",
    {
      class: "report-strip",
      viewBox: `0 0 ${width} 132`,
      "aria-hidden": "true",
      focusable: "false",
    },
    ...[1, 0].map((c) => svg("text", { x: 0, y: 95 - 60 * c }, `class ${c}`)),
    ...[low, high].map((v) =>
      svg("text", { x: px(v), y: 128, "text-anchor": v === low ? "start" : "end" }, format(v, 0)),
    ),
    svg("path", { class: "report-dot mp-correct", d: marks.correct }),
    svg("path", { class: "report-cross mp-pitfall", d: marks.pitfall }),
    svg("line", { class: "mp-marker", x1: px(threshold), x2: px(threshold), y1: 6, y2: 116 }),
  );
}

function render({ model, el: host }) {
  let [chosen, built, cells, numbers] = [["1", "recall"], "", [], []];
  const scores = () => model.get("scores");
  const dragging = () => model.get("mode") === "threshold" && scores().length > 0;
  const current = () =>
    dragging() ? matrixAt(scores(), model.get("threshold")) : model.get("matrix");
  const mode = choice(
    "Matrix",
    [
      ["matrix", "type the counts"],
      ["threshold", "drag a threshold on real scores"],
    ],
    (v) => update(model, "mode", v),
  );
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
  const ends = scores()
    .flat()
    .reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [0, 0]);
  const range = [Math.floor(ends[0]), Math.max(Math.ceil(ends[1]), Math.floor(ends[0]) + 1)];
  const threshold = slider("Threshold", { min: range[0], max: range[1], step: 0.01 }, (v) =>
    update(model, "threshold", v),
  );
  const [matrixTable, reportTable, dots] = [
    el("table", { class: "report-matrix" }),
    el("table", { class: "report-numbers" }),
    el("div"),
  ];
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
  const slide = el("div", {}, threshold.root, dots);
  const reset = resetButton(model, START);

  function cell(i, j, editable) {
    const name = `truth ${i}, predicted ${j}`;
    const field = editable
      ? numberField(name, 1, whole, (value) =>
          update(
            model,
            "matrix",
            model
              .get("matrix")
              .map((row, r) => row.map((old, c) => (r === i && c === j ? value : old))),
          ),
        )
      : null;
    const [out, sign] = [el("output"), el("span", { "aria-hidden": "true" })];
    return {
      i,
      j,
      set: (value) => {
        if (field) field.set(value);
        else out.textContent = value;
      },
      sign,
      root: el("td", {}, sign, field ? field.root : out),
    };
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

  function build(size, editable) {
    [cells, numbers] = [[], []];
    const ids = Array.from({ length: size }, (_, i) => i);
    const heads = (texts) =>
      el(
        "thead",
        {},
        el("tr", {}, el("td"), ...texts.map((text) => el("th", { scope: "col" }, text))),
      );
    const line = (text, ...tds) => el("tr", {}, el("th", { scope: "row" }, text), ...tds);
    cells = ids.flatMap((i) => ids.map((j) => cell(i, j, editable)));
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
    if (!numbers.some((n) => `${[n.row, n.metric]}` === `${chosen}`)) chosen = ["1", "recall"];
  }

  function paint() {
    const [matrix, nothing] = [current(), { 0: 0, 1: 1, nan: NaN }[model.get("zero_division")]];
    const key = `${matrix.length} ${dragging()}`;
    if (key !== built) {
      build(matrix.length, !dragging());
      built = key;
    }
    const [all, { top, rest }] = [report(matrix, nothing), cellsOf(matrix, ...chosen)];
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
    const whose = chosen[0].length === 1 ? `class ${chosen[0]}` : chosen[0];
    const name = `${chosen}` === "accuracy,f1-score" ? "accuracy" : `${title(chosen[1])}, ${whose}`;
    formula.replaceChildren(el("strong", {}, name), `: ${explain(matrix, nothing, ...chosen)}`);
    mode.set(dragging() ? "threshold" : "matrix");
    classes.set(matrix.length);
    zero.set(model.get("zero_division"));
    threshold.set(model.get("threshold"));
    [mode.root.hidden, counts.hidden, slide.hidden] = [!scores().length, dragging(), !dragging()];
    if (dragging()) dots.replaceChildren(strip(scores(), model.get("threshold"), range));
  }
  host.append(
    el(
      "div",
      { class: "mp report", role: "group", "aria-label": "Report explorer" },
      controls(mode.root, counts, slide, el("div", { class: "mp-row" }, zero.root, reset)),
      el("div", { class: "mp-grid" }, matrixTable, reportTable),
      formula,
      el("p", { class: "mp-soft" }, "◆ counted · ◇ only in what it is divided by"),
    ),
  );
  return follow(model, ["matrix", "scores", "mode", "threshold", "zero_division"], paint);
}

export default { render };
