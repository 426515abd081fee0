// The same verdicts as helpers.exercises.table.TableCheck.
export function verdict(ticks, { rows, columns, answer, praise, hints }) {
  for (const [i, row] of rows.entries()) {
    const j = columns.findIndex((_, c) => ticks[i][c] !== answer[i][c]);
    if (j >= 0) return ["hint", `${row}, ${columns[j]}: ${hints[j]}`];
  }
  return ["correct", praise];
}

function render({ model, el: host }) {
  const names = ["rows", "columns", "answer", "praise", "hints"];
  const [prompt, table] = [el("p"), el("table", { class: "ticks" })];
  let boxes = [];
  const { result, button, reset } = checker(
    "tick what is true, or write it into the cell above.",
    () =>
      verdict(
        boxes.map((row) => row.map((box) => box.checked)),
        values(model, names),
      ),
  );
  function paint() {
    const [rows, columns] = [model.get("rows"), model.get("columns")];
    prompt.textContent = model.get("prompt");
    reset();
    boxes = rows.map((row) =>
      columns.map((column) => el("input", { type: "checkbox", "aria-label": `${row}: ${column}` })),
    );
    table.replaceChildren(
      el(
        "thead",
        {},
        el("tr", {}, el("td"), ...columns.map((column) => el("th", { scope: "col" }, column))),
      ),
      el(
        "tbody",
        {},
        ...rows.map((row, i) =>
          el(
            "tr",
            {},
            el("th", { scope: "row" }, row),
            ...boxes[i].map((box) => el("td", {}, el("label", {}, box))),
          ),
        ),
      ),
    );
  }
  host.append(
    el(
      "div",
      { class: "mp", role: "group", "aria-label": "Answer table" },
      prompt,
      table,
      button,
      result,
    ),
  );
  return follow(model, ["prompt", ...names], paint);
}

export default { render };
