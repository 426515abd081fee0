// --- arithmetic: an image is [mean, std] of its pixels; all have as many pixels ---

const average = (numbers) => numbers.reduce((sum, v) => sum + v, 0) / numbers.length;
const rootMeanSquare = (numbers) => Math.sqrt(average(numbers.map((v) => v * v)));

// The order is what half of all orders do better than, and half worse: batches of 2 miss a
// quarter of the spread, batches of 4 a tenth.
const MEANS = [
  0.6, 0.4, 0.8, -1.4, 2.1, -0.9, 1.5, -0.7, 0.1, -1.1, 1.2, 1.1, -0.3, -0.2, -0.6, -1.8,
];
const STDS = [1.3, 1.6, 0.5, 1.1, 0.3, 0.8, 0.4, 1.4, 1.8, 0.9, 0.2, 0.6, 1.0, 1.2, 0.7, 0.4];

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

// The pixels of all images: in each, 64 numbers at equal distances, in a mixed order.
export function pixels(set) {
  return set.flatMap(([mean, std]) =>
    Array.from({ length: 64 }, (_, k) => mean + (std * (((k * 37) % 64) - 31.5)) / SPREAD),
  );
}

const SPREAD = Math.sqrt((64 ** 2 - 1) / 12); // the std of 0 to 63

// Shares of numbers in `count` equal parts from `low` to `high`, as the corners of steps.
export function histogram(values, low, high, count) {
  const shares = new Array(count).fill(0);
  for (const v of values) {
    const at = Math.floor(((v - low) / (high - low)) * count);
    if (at >= 0 && at < count) shares[at] += 1 / values.length;
  }
  const edge = (i) => low + ((high - low) * i) / count;
  const steps = shares.flatMap((share, i) => [
    [edge(i), share],
    [edge(i + 1), share],
  ]);
  return [[low, 0], ...steps, [high, 0]];
}

// --- the page ---

function tiles(canvas, values) {
  const context = canvas.getContext("2d");
  const data = context.createImageData(32, 32);
  values.forEach((v, i) => {
    const [image, k] = [Math.floor(i / 64), i % 64];
    const x = (image % 4) * 8 + (k % 8);
    const y = Math.floor(image / 4) * 8 + Math.floor(k / 8);
    const grey = 255 * Math.min(Math.max(v, 0), 1);
    data.data.set([grey, grey, grey, 255], 4 * (32 * y + x));
  });
  context.putImageData(data, 0, 0);
}

function render({ model, el: host }) {
  const set = (name) => (value) => update(model, name, value);
  const brightness = slider("Brightness", { min: 0, max: 0.3, step: 0.01 }, set("brightness"));
  const contrast = slider("Contrast", { min: 0.01, max: 0.3, step: 0.01 }, set("contrast"));
  const batch = choice(
    "Batches of",
    [1, 2, 4, 8, 16].map((size) => [size, String(size)]),
    set("batch"),
  );
  const place = (value) => update(model, "mark", Math.abs(Number(value.toFixed(2))));
  const mark = slider("Your guess", { min: 0, max: 8, step: 0.01 }, place);
  const lock = el("button", {
    type: "button",
    onclick: () => update(model, "guess", model.get("guess") === null ? model.get("mark") : null),
  });
  const start = { guess: null, brightness: 0.2, contrast: 0.1, batch: 1, mark: 1 };
  const canvas = el("canvas", { width: 32, height: 32, role: "img", "aria-label": "16 images" });
  const raw = plot({
    title: "all pixels, and their mean ± std",
    x: [-0.5, 1.5],
    y: [0, 0.2],
    xTicks: [0, 1],
    yTicks: [0, 0.1, 0.2],
    xLabel: "grey, 0 is black",
  });
  const after = plot({
    title: "normalised",
    x: [-8, 8],
    y: [0, 0.3],
    xTicks: [-8, -4, -1, 0, 1, 4, 8],
    yTicks: [0, 0.1, 0.2, 0.3],
    xLabel: "lines at −1 and 1: one std, if it is right",
    onpick: place,
  });
  const cells = Array.from({ length: 4 }, () => el("td"));
  const head = (role, text) =>
    el(
      "th",
      { scope: "col", class: `mp-${role}` },
      el("span", { class: `mp-key mp-${role}`, "aria-hidden": "true" }),
      text,
    );
  const row = (name, ...pair) => el("tr", {}, el("th", { scope: "row" }, name), ...pair);
  const table = el(
    "table",
    {},
    el(
      "thead",
      {},
      el("tr", {}, el("td"), head("correct", "all pixels"), head("pitfall", "average")),
    ),
    el(
      "tbody",
      {},
      row("divided by", cells[0], cells[1]),
      row("std afterwards", cells[2], cells[3]),
    ),
  );
  const news = el("p", { "aria-live": "polite" });

  function paint() {
    const [b, c, size, at, guess] = ["brightness", "contrast", "batch", "mark", "guess"].map((n) =>
      model.get(n),
    );
    brightness.set(b);
    contrast.set(c);
    batch.set(size);
    mark.set(at);
    const shown = images(b, c);
    const values = pixels(shown);
    const [all, wrong] = [pooled(shown), averageOfBatches(shown, size)];
    tiles(canvas, values);
    const edge = (x) => [
      [x, 0],
      [x, 0.2],
    ];
    raw.draw([
      { role: "ink", points: histogram(values, -0.5, 1.5, 40) },
      ...[0.5 - all, 0.5 + all].map((x) => ({ role: "reference", points: edge(x) })),
    ]);
    after.mark(at);
    const hidden = guess === null;
    const normalised = (std) =>
      histogram(
        values.map((v) => (v - 0.5) / std),
        -8,
        8,
        64,
      );
    after.draw(
      hidden
        ? []
        : [
            { role: "pitfall", points: normalised(wrong) },
            { role: "correct", points: normalised(all) },
          ],
    );
    const texts = hidden
      ? ["–", "–", "–", "–"]
      : [format(all), format(wrong), format(1, 2), format(all / wrong, 2)];
    texts.forEach((text, i) => {
      cells[i].textContent = text;
    });
    lock.textContent = hidden ? "Lock my guess" : "Guess again";
    news.textContent = hidden
      ? "Divided by the average: which std afterwards? Put the dotted line there."
      : `You guessed ${format(guess, 2)}. ` +
        `Divided by the average, the pixels now have a std of ${format(all / wrong, 2)}.`;
  }
  host.append(
    el(
      "div",
      { class: "mp std", role: "group", "aria-label": "Std explorer" },
      controls(brightness.root, contrast.root, batch.root, mark.root),
      news,
      el("div", { class: "mp-row" }, lock, resetButton(model, start)),
      el("div", { class: "mp-figure" }, canvas, table),
      el("div", { class: "mp-grid" }, raw.root, after.root),
    ),
  );
  return follow(model, ["brightness", "contrast", "batch", "mark", "guess"], paint);
}

export default { render };
