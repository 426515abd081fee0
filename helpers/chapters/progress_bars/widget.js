const [FULL, WRONG] = [64, 3]; // a full batch, and how many of it are wrong
const LOWEST = 80; // per cent in the plot

// Accuracies in per cent: each batch counting alike, and each image.
export function means(size, wrong, full) {
  const missed = Math.min(wrong, size);
  const share = (FULL - WRONG) / FULL;
  return {
    batches: (100 * (full * share + (size - missed) / size)) / (full + 1),
    samples: (100 * (full * (FULL - WRONG) + size - missed)) / (full * FULL + size),
  };
}

const COLUMNS = [
  ["batches", "pitfall", "mean of batches"],
  ["samples", "correct", "mean of images"],
  ["guess", "reference", "your guess"],
];

function render({ model, el: host }) {
  const place = (value) => {
    const size = Math.min(64, Math.max(1, Math.round(value)));
    update(model, "size", size);
  };
  const size = slider("Last batch", { min: 1, max: 64, step: 1 }, place);
  const whole = (name) => (value) => {
    if (Number.isInteger(value)) update(model, name, value);
  };
  const wrong = choice(
    "Wrong in the last",
    [0, 1, 2, 3].map((v) => [v, `${v}`]),
    (value) => update(model, "wrong", value),
  );
  const full = slider("Full batches", { min: 1, max: 70, step: 1 }, whole("full"));
  let opinion = 95;
  const guess = slider("Your guess, in %", { min: 80, max: 100, step: 0.1 }, (v) => {
    opinion = Number(v.toFixed(1));
    guess.set(opinion);
  });
  guess.set(opinion);
  const lock = el("button", {
    type: "button",
    onclick: () => update(model, "guess", model.get("guess") === null ? opinion : null),
  });
  const reset = resetButton(model, { guess: null, size: 1, wrong: 1, full: 20 });
  const news = el("p", { "aria-live": "polite" });
  const cells = COLUMNS.map(() => el("td"));
  const head = ([, role, text]) =>
    el(
      "th",
      { scope: "col", class: `mp-${role}` },
      el("span", { class: `mp-key mp-${role}`, "aria-hidden": "true" }),
      text,
    );
  const table = el(
    "table",
    {},
    el("thead", {}, el("tr", {}, ...COLUMNS.map(head))),
    el("tbody", {}, el("tr", {}, ...cells)),
  );
  const chart = plot({
    title: "accuracy in %",
    x: [0, 64],
    y: [LOWEST, 100],
    xTicks: [1, 16, 32, 48, 64],
    yTicks: [80, 85, 90, 95, 100],
    xLabel: "images in the last batch",
    onpick: place,
  });

  function paint() {
    const [n, missed, count, locked] = ["size", "wrong", "full", "guess"].map((t) => model.get(t));
    const shown = locked !== null;
    const at = (size) => ({ ...means(size, missed, count), guess: locked });
    const now = at(n);
    size.set(n);
    wrong.set(missed);
    full.set(count);
    lock.textContent = shown ? "Guess again" : "Lock my guess";
    news.textContent = shown
      ? `You guessed ${format(locked, 1)}%, the line across. Now drag the size of the last batch.`
      : "In each full batch 3 of 64 images are wrong. What does the mean of batches say?";
    const curve = (key) => Array.from({ length: 64 }, (_, i) => [i + 1, at(i + 1)[key]]);
    const drawn = shown ? COLUMNS : [];
    chart.draw(drawn.map(([key, role]) => ({ role, points: curve(key) })));
    const seen = drawn.filter(([key]) => key !== "guess" && now[key] >= LOWEST);
    chart.dots(seen.map(([key, role]) => ({ role, at: [n, now[key]] })));
    chart.mark(n);
    COLUMNS.forEach(([key], i) => {
      cells[i].textContent = shown ? `${format(now[key], 1)}%` : "–";
    });
  }

  host.append(
    el(
      "div",
      { class: "mp", role: "group", "aria-label": "Last batch" },
      controls(size.root, full.root, el("div", { class: "mp-row" }, wrong.root, reset)),
      news,
      el("div", { class: "mp-row" }, guess.root, lock),
      el("div", { class: "mp-large" }, chart.root),
      table,
    ),
  );
  return follow(model, ["size", "wrong", "full", "guess"], paint);
}

export default { render };
