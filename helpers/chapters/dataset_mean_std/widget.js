// --- arithmetic: an image is [mean, std] of its pixels; all have as many pixels ---

const average = (numbers) => numbers.reduce((sum, v) => sum + v, 0) / numbers.length;
const rootMeanSquare = (numbers) => Math.sqrt(average(numbers.map((v) => v * v)));

// Any order would do; mixed, so that a batch holds dark and bright images.
const MEANS = [
  -0.2, 1.5, -1.1, 0.4, -0.6, 2.1, -1.4, 0.8, 0.1, -0.9, 1.1, -1.8, 0.6, -0.3, 1.2, -0.7,
];
const STDS = [1.2, 0.4, 0.9, 1.6, 0.7, 0.3, 1.1, 0.5, 1.8, 0.8, 0.6, 0.4, 1.3, 1.0, 0.2, 1.4];

// Sixteen images whose means spread by `brightness`, with stds of root mean square `contrast`.
export function images(brightness, contrast) {
  const centred = MEANS.map((v) => v - average(MEANS));
  const [wide, tall] = [rootMeanSquare(centred), rootMeanSquare(STDS)];
  return centred.map((v, i) => [0.5 + (brightness * v) / wide, (contrast * STDS[i]) / tall]);
}

export function within(set) {
  return rootMeanSquare(set.map(([, std]) => std));
}

export function between(set) {
  const middle = average(set.map(([mean]) => mean));
  return rootMeanSquare(set.map(([mean]) => mean - middle));
}

// The std of all the pixels: the two spreads are the sides of a right angle.
export function pooled(set) {
  return Math.hypot(within(set), between(set));
}

// What comes out if the std of each batch is taken, and then their average.
export function averageOfBatches(set, batch) {
  const batches = Array.from({ length: set.length / batch }, (_, i) =>
    set.slice(i * batch, (i + 1) * batch),
  );
  return average(batches.map(pooled));
}

// --- the page ---

const [WIDTH, HEIGHT, BAR] = [340, 150, 0.6];

function render({ model, el: host }) {
  const set = (name) => (value) => update(model, name, value);
  const range = { min: 0, max: 0.4, step: 0.01 };
  const brightness = slider("Brightness", range, set("brightness"));
  const contrast = slider("Contrast", range, set("contrast"));
  const batch = choice(
    "Average the stds of batches of",
    [1, 2, 4, 8, 16].map((size) => [size, String(size)]),
    set("batch"),
  );
  const marks = svg("g");
  const picture = svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true", focusable: "false" },
    svg("text", { x: 0, y: 12 }, "16 images: mean ± std of the pixels"),
    marks,
  );
  const rows = el("tbody");
  const verdict = el("p", { "aria-live": "polite" });

  const row = (role, name, value) =>
    el(
      "tr",
      {},
      el(
        "th",
        { scope: "row", class: `mp-${role}` },
        el("span", { class: `mp-key mp-${role}`, "aria-hidden": "true" }),
        name,
      ),
      el("td", {}, format(value)),
      el(
        "td",
        { class: "std-bar", "aria-hidden": "true" },
        el("span", { class: `std-fill mp-${role}`, style: `width: ${(100 * value) / BAR}%` }),
      ),
    );

  function dots(shown, size) {
    const x = (i) => 12 + (i * (WIDTH - 24)) / 15;
    const y = (v) => HEIGHT - 6 - ((Math.min(1.4, Math.max(-0.4, v)) + 0.4) / 1.8) * (HEIGHT - 28);
    const edges = shown.flatMap((_, i) =>
      i && i % size === 0
        ? [
            svg("line", {
              class: "mp-marker",
              x1: (x(i) + x(i - 1)) / 2,
              x2: (x(i) + x(i - 1)) / 2,
              y1: 20,
              y2: HEIGHT - 2,
            }),
          ]
        : [],
    );
    return [
      ...edges,
      ...shown.flatMap(([mean, std], i) => [
        svg("line", {
          class: "std-line",
          x1: x(i),
          x2: x(i),
          y1: y(mean - std),
          y2: y(mean + std),
        }),
        svg("circle", { class: "std-dot", cx: x(i), cy: y(mean), r: 4 }),
      ]),
    ];
  }

  function paint() {
    const [b, c, size] = ["brightness", "contrast", "batch"].map((name) => model.get(name));
    brightness.set(b);
    contrast.set(c);
    batch.set(size);
    const shown = images(b, c);
    const [all, wrong] = [pooled(shown), averageOfBatches(shown, size)];
    marks.replaceChildren(...dots(shown, size));
    rows.replaceChildren(
      row("reference", "within images", within(shown)),
      row("reference", "between images", between(shown)),
      row("correct", "all pixels", all),
      row(
        "pitfall",
        size === 1 ? "average of 16 stds" : size === 16 ? "one batch" : `average of ${16 / size}`,
        wrong,
      ),
    );
    verdict.textContent =
      wrong > 0
        ? `Divided by the average, the pixels have a std of ${format(all / wrong, 3)}.`
        : "The average is 0: nothing can be divided by it.";
  }
  host.append(
    el(
      "div",
      { class: "mp std", role: "group", "aria-label": "Std explorer" },
      controls(brightness.root, contrast.root, batch.root),
      el(
        "div",
        { class: "mp-figure" },
        picture,
        el(
          "table",
          {},
          el("thead", {}, el("tr", {}, el("td"), el("th", { scope: "col" }, "std"), el("td"))),
          rows,
        ),
      ),
      verdict,
    ),
  );
  return follow(model, ["brightness", "contrast", "batch"], paint);
}

export default { render };
