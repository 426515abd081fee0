// --- the loop: each line is [old, new, why, fate]; `new` may be several lines, or empty ---

export const SIGNS = { stays: "=", changes: "~", goes: "−" };

// The old loop (part 0) or the new one (part 1) as one text, as the notebook's helper writes it.
export function loop(lines, part) {
  return (
    lines
      .map((line) => line[part])
      .filter((text) => text !== "")
      .join("\n") + "\n"
  );
}

// How many lines stay, change and go.
export function tally(lines) {
  return Object.fromEntries(
    Object.keys(SIGNS).map((fate) => [fate, lines.filter((line) => line[3] === fate).length]),
  );
}

// What is said of one line, counted from 1; 0 is none.
export function headline(lines, number) {
  return number === 0
    ? "Choose a line of the loop for apex."
    : `Line ${number} ${lines[number - 1][3]}.`;
}

// --- the page ---

function render({ model, el: host }) {
  const lines = model.get("lines");
  const seen = new Set();
  const pick = (number) => update(model, "line", number);
  const move = (event, number) => {
    const goal = { ArrowDown: number + 1, ArrowUp: number - 1, Home: 1, End: lines.length }[
      event.key
    ];
    if (!goal || goal > lines.length) return;
    event.preventDefault();
    pick(goal);
    rows[goal - 1].button.focus();
  };
  const part = (sign, role, text) =>
    el(
      "div",
      { class: `apex-part mp-${role}` },
      ...text.split("\n").map((line) => el("code", {}, ...breakable(`${sign} ${line}`))),
    );
  const rows = lines.map(([old, now, why, fate], i) => {
    const sign = el("span", { "aria-hidden": "true" });
    const button = el(
      "button",
      {
        type: "button",
        class: "apex-line",
        onkeydown: (event) => move(event, i + 1),
        onclick: () => pick(model.get("line") === i + 1 ? 0 : i + 1),
      },
      sign,
      el("code", {}, ...breakable(old)),
    );
    const detail = el(
      "div",
      { class: "apex-detail" },
      ...(now === "" ? [] : [part(fate === "stays" ? "=" : "+", "correct", now)]),
      el("p", {}, why),
    );
    return { fate, sign, button, detail, root: el("li", {}, button, detail) };
  });
  const news = el("p", { "aria-live": "polite" });
  const whole = el(
    "details",
    {},
    el("summary", {}, "The whole loop for PyTorch"),
    el("pre", {}, el("code", {}, loop(lines, 1))),
  );
  const reset = el(
    "button",
    {
      type: "button",
      onclick: () => {
        seen.clear();
        pick(0);
        paint();
      },
    },
    "Start again",
  );

  function paint() {
    const number = model.get("line");
    if (number) seen.add(number);
    rows.forEach(({ fate, sign, button, detail }, i) => {
      const open = i + 1 === number;
      button.setAttribute("aria-expanded", open);
      detail.hidden = !open;
      sign.textContent = seen.has(i + 1) ? SIGNS[fate] : "?";
    });
    const count = tally(lines);
    news.textContent =
      `${headline(lines, number)} Seen: ${seen.size} of ${lines.length}.` +
      (seen.size === lines.length
        ? ` ${count.stays} stay, ${count.changes} change, ${count.goes} goes.`
        : "");
  }
  host.append(
    el(
      "div",
      { class: "mp apex", role: "group", "aria-label": "Apex migration" },
      controls(
        el(
          "div",
          { class: "mp-row" },
          el("span", { class: "mp-soft" }, "? not seen yet, = stays, ~ changes, − goes, + new"),
          reset,
        ),
      ),
      el("ol", {}, ...rows.map((row) => row.root)),
      news,
      whole,
    ),
  );
  return follow(model, ["line"], paint);
}

export default { render };
