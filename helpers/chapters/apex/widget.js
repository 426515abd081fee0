// Each line is [old, new, why]; `new` may be several lines, or empty.

// What becomes of a line.
export function fate([old, now]) {
  return now === old ? "stays" : now === "" ? "goes" : "changes";
}

// How many lines stay, how many of them were ticked, and how many others were.
export function compare(lines, guess) {
  const stays = lines.map((line) => fate(line) === "stays");
  return {
    stay: stays.filter(Boolean).length,
    found: guess.filter((i) => stays[i]).length,
    wrong: guess.filter((i) => !stays[i]).length,
  };
}

// The sign beside a line: a tick that was right, or a mistake; none for a line left alone.
export function sign(stays, ticked) {
  if (stays) return ticked ? "✓" : "✗";
  return ticked ? "✗" : "";
}

function render({ model, el: host }) {
  const lines = model.get("lines");
  // The indentation is padding, so that a line that wraps stays under its own beginning.
  const indented = (line) => {
    const text = line.trimStart();
    // A line that is too long breaks behind a bracket, not inside a word.
    const parts = text.split(/(?<=\((?!\)))/).flatMap((part) => [part, el("wbr")]);
    return el("code", { style: `padding-left: ${line.length - text.length + 2}ch` }, ...parts);
  };
  const code = (text, role) =>
    el(
      "div",
      { class: role ? `apex-code mp-${role}` : "apex-code" },
      ...text.split("\n").map(indented),
    );
  const rows = lines.map((line, i) => {
    const [old, now, why] = line;
    const kept = fate(line) === "stays";
    const box = el("input", { type: "checkbox", "aria-label": `Line ${i + 1} stays: ${old}` });
    const answer = el(
      "div",
      { class: "apex-answer" },
      now === "" ? code(`${old.match(/^ */)[0]}(nothing)`) : code(now, kept ? "" : "correct"),
    );
    const reason = el("p", { class: "apex-why mp-soft" }, why);
    const left = el("div", { class: "apex-old" }, box, code(old, ""));
    return { box, left, answer, reason, kept, root: el("li", {}, left, answer, reason) };
  });
  const news = el("p", { "aria-live": "polite" });
  const show = el("button", {
    type: "button",
    onclick: () => {
      const ticked = rows.flatMap(({ box }, i) => (box.checked ? [i] : []));
      update(model, "guess", model.get("guess") === null ? ticked : null);
    },
  });

  function paint() {
    const guess = model.get("guess");
    const shown = guess !== null;
    rows.forEach(({ box, left, answer, reason, kept }, i) => {
      box.disabled = shown;
      if (shown) box.checked = guess.includes(i);
      left.classList.toggle("mp-pitfall", shown && !kept);
      // Hidden, it keeps its room.
      for (const node of [answer, reason]) node.style.visibility = shown ? "visible" : "hidden";
      reason.dataset.sign = shown ? sign(kept, guess.includes(i)) : "";
    });
    show.textContent = shown ? "Guess again" : "Show the port";
    if (!shown) {
      news.textContent =
        "A loop for apex. Tick the lines that stay as they are, then show the port.";
      return;
    }
    const { stay, found, wrong } = compare(lines, guess);
    news.textContent =
      `${stay} of ${lines.length} lines stay: you found ${found}, ` +
      `and ticked ${wrong} that must change.`;
  }

  host.append(
    el(
      "div",
      { class: "mp apex", role: "group", "aria-label": "Apex diff" },
      el("div", { class: "mp-row" }, show),
      news,
      el("ol", {}, ...rows.map((row) => row.root)),
    ),
  );
  return follow(model, ["guess"], paint);
}

export default { render };
