
// --- the loop: lines are [old, new, why, fate], and `new` may be several lines or none ---

export const SIGNS = { stays: "=", changes: "~", goes: "−" };

// The old or the new loop as one text, as the notebook's helper writes it.
export function loop(lines, part) {
  return lines.map((line) => line[part]).filter((text) => text !== "").join("\n") + "\n";
}

// The new lines one by one, each with the number of the old line that it replaces.
export function newLines(lines) {
  return lines.flatMap(([, now], i) => (now === "" ? [] : now.split("\n").map((text) => ({ text, from: i + 1 }))));
}

// How many lines stay, change and go.
export function tally(lines) {
  return Object.fromEntries(Object.keys(SIGNS).map((fate) => [fate, lines.filter((line) => line[3] === fate).length]));
}

// What is said of one line.
export function headline(lines, number) {
  if (number === 0) return "Choose a line of the old loop.";
  const fate = lines[number - 1][3];
  return `Line ${number} ${{ stays: "stays.", changes: "changes.", goes: "goes." }[fate]}`;
}

// --- the page ---

function render({ model, el: host }) {
  const lines = model.get("lines");
  const pick = (number) => update(model, "line", number);
  const move = (event, number) => {
    const goal = { ArrowDown: number + 1, ArrowUp: number - 1, Home: 1, End: lines.length }[event.key];
    if (!goal || goal > lines.length) return;
    event.preventDefault();
    pick(goal);
    buttons[goal - 1].focus();
  };
  const buttons = lines.map(([old], i) => el("button", { type: "button", class: "apex-line",
    onclick: () => pick(i + 1), onkeydown: (event) => move(event, i + 1) }, el("span", { "aria-hidden": "true" }), el("code", {}, old)));
  const title = el("p", { class: "apex-heading" });
  const body = el("div");
  const fresh = newLines(lines).map((line) => ({ ...line, root: el("code", {}, line.text) }));
  const seen = new Set();
  const count = tally(lines);
  const summary = el("p", { class: "mp-soft" });

  function panel(number) {
    if (number === 0) return ["Its replacement, and the reason, will stand here."];
    const [old, now, why, fate] = lines[number - 1];
    return [
      ...(fate === "stays" ? [] : [el("div", { class: "apex-new mp-pitfall" }, el("code", {}, `− ${old.trim()}`))]),
      ...(now === "" ? [] : [el("div", { class: "apex-new mp-correct" },
        el("code", {}, now.split("\n").map((text) => `${fate === "stays" ? "=" : "+"} ${text.replace(/^ {4}/, "")}`).join("\n")))]),
      el("p", {}, why)];
  }
  function paint() {
    const number = model.get("line");
    if (number) seen.add(number);
    buttons.forEach((button, i) => {
      button.setAttribute("aria-pressed", i + 1 === number);
      button.firstChild.textContent = seen.has(i + 1) ? SIGNS[lines[i][3]] : "?";
    });
    title.textContent = headline(lines, number);
    body.replaceChildren(...panel(number));
    for (const { root, text, from } of fresh) {
      root.className = from === number ? "apex-here" : "";
      root.textContent = `${from === number ? "▶" : " "} ${seen.has(from) ? text : `${text.match(/^ */)[0]}…`}`;
    }
    summary.textContent = `Seen: ${seen.size} of ${lines.length}. `
      + (seen.size === lines.length ? `${count.stays} stay, ${count.changes} change, ${count.goes} goes.` : "= stays, ~ changes, − goes.");
  }
  const all = el("button", { type: "button", onclick: () => { lines.forEach((_, i) => seen.add(i + 1)); paint(); } }, "Show all");
  const reset = el("button", { type: "button", onclick: () => { seen.clear(); update(model, "line", 0); paint(); } }, "Start again");
  host.append(el("div", { class: "mp apex", role: "group", "aria-label": "Apex migration" },
    el("div", { class: "mp-grid" },
      el("div", {}, el("p", { class: "apex-heading" }, "The loop for apex"), el("ol", {}, ...buttons.map((b) => el("li", {}, b)))),
      el("div", {}, el("div", { class: "apex-news", "aria-live": "polite" }, title, body),
        el("p", { class: "apex-heading" }, "The loop for PyTorch"), el("div", { class: "apex-loop" }, ...fresh.map((line) => line.root)))),
    summary, el("div", { class: "mp-row" }, all, reset)));
  return follow(model, ["line"], paint);
}

export default { render };
