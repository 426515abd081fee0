// --- arithmetic: every function that is exported here is tested against torch ---

export function scoresWith(score) {
  return [
    [2, 0, score],
    [0, 3, 1],
  ];
}

// The place of the largest number along a dimension; the first of equal ones.
export function argmax(rows, dim) {
  const lines = dim === 1 ? rows : rows[0].map((_, column) => rows.map((row) => row[column]));
  return lines.map((line) => line.indexOf(Math.max(...line)));
}

// --- the page ---

function render({ model, el: host }) {
  const dims = [
    [0, "0, the samples"],
    [1, "1, the classes"],
  ];
  const dim = choice("argmax over dimension", dims, (value) => update(model, "dim", value));
  const range = { min: -5, max: 5, step: 0.1 };
  const score = slider("Score of class 2", range, (value) => update(model, "score", value));
  const rows = el("tbody");
  const answer = el("p", { "aria-live": "polite" });
  const head = ["class 0", "class 1", "class 2"].map((name) => el("th", { scope: "col" }, name));

  function paint() {
    const scores = scoresWith(model.get("score"));
    dim.set(model.get("dim"));
    score.set(model.get("score"));
    rows.replaceChildren(
      ...scores.map((row, i) =>
        el(
          "tr",
          {},
          el("th", { scope: "row" }, `sample ${i}`),
          ...row.map((v) => el("td", {}, format(v, 1))),
        ),
      ),
    );
    answer.textContent = `argmax returns [${argmax(scores, model.get("dim")).join(", ")}]`;
  }
  host.append(
    el(
      "div",
      { class: "mp", role: "group", "aria-label": "New tip explorer" },
      el("div", { class: "mp-row" }, dim.root),
      score.root,
      el("table", {}, el("thead", {}, el("tr", {}, el("td"), ...head)), rows),
      answer,
    ),
  );
  return follow(model, ["score", "dim"], paint);
}

export default { render };
