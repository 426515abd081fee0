// --- arithmetic: a micro-batch's loss is the mean of its samples' losses ---

export const SAMPLES = 50;
const LEFT_OVER = 3; // samples of the epoch before

// The sizes of the micro-batches; a cut at an end, or on another one, makes none.
export function sizes(cuts) {
  const inner = [...new Set(cuts)].filter((c) => 0 < c && c < SAMPLES).sort((a, b) => a - b);
  const edges = [0, ...inner, SAMPLES];
  return edges.slice(1).map((edge, i) => edge - edges[i]);
}

// What a micro-batch's mean loss is multiplied by before backward().
export function factor(size, parts, rule) {
  return { sum: 1, mean: 1 / parts.length, size: size / SAMPLES }[rule];
}

// What each sample's gradient is multiplied by in .grad: the fifty, then those left over.
export function weights(parts, rule, leftOver) {
  const own = parts.flatMap((size) => Array(size).fill(factor(size, parts, rule) / size));
  const old = leftOver ? factor(LEFT_OVER, parts, rule) / LEFT_OVER : 0;
  return [...own, ...Array(LEFT_OVER).fill(old)];
}

export function combine(gradients, by) {
  return [0, 1].map((axis) => gradients.reduce((total, g, i) => total + by[i] * g[axis], 0));
}

// Length, turn in degrees and relative error of a gradient, against the wanted one.
export function compare(found, wanted) {
  const length = Math.hypot(...wanted);
  const cross = wanted[0] * found[1] - wanted[1] * found[0];
  const dot = wanted[0] * found[0] + wanted[1] * found[1];
  return {
    length: Math.hypot(...found) / length,
    turn: (Math.abs(Math.atan2(cross, dot)) * 180) / Math.PI,
    error: Math.hypot(found[0] - wanted[0], found[1] - wanted[1]) / length,
  };
}

// --- the page ---

const RULES = { sum: "loss (the notes)", mean: "loss / K", size: "loss · n / N" };
const [WIDTH, HEIGHT, BASE, TOP] = [340, 170, 148, 26];
const isFair = (weight) => Math.abs(weight * SAMPLES - 1) < 1e-9;
const times = (value) => `${format(value, value < 10 ? 2 : 1)} ×`;

function bars(parts, by, leftOver) {
  const fair = by.map((w) => w * SAMPLES);
  const highest = Math.max(2, ...fair);
  const room = SAMPLES + (leftOver ? LEFT_OVER + 2 : 0);
  const x = (place) => 4 + (place * (WIDTH - 8)) / room;
  const y = (value) => BASE - (value / highest) * (BASE - TOP);
  const shift = leftOver ? LEFT_OVER + 2 : 0;
  const bar = (weight, place) =>
    svg("rect", {
      class: isFair(weight) ? "cuts-fair" : "cuts-unfair",
      x: x(place) + 0.5,
      width: x(1) - x(0) - 1,
      y: y(weight * SAMPLES),
      height: BASE - y(weight * SAMPLES),
    });
  const old = leftOver
    ? [...by.slice(SAMPLES).map(bar), svg("text", { x: x(0), y: HEIGHT - 4 }, "left")]
    : [];
  let start = shift;
  const names = parts.flatMap((size) => {
    const [from, middle] = [start, start + size / 2];
    start += size;
    const edge = svg("line", {
      class: "cuts-edge",
      x1: x(from),
      x2: x(from),
      y1: TOP - 6,
      y2: BASE + 5,
    });
    return size > 2
      ? [edge, svg("text", { x: x(middle), y: HEIGHT - 4, "text-anchor": "middle" }, String(size))]
      : [edge];
  });
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true", focusable: "false" },
    svg("text", { x: 4, y: 12 }, "weight of each sample (dotted: the fair one)"),
    ...old,
    ...by.slice(0, SAMPLES).map((w, i) => bar(w, shift + i)),
    ...names,
    svg("line", { class: "cuts-level", x1: 4, x2: WIDTH - 4, y1: y(1), y2: y(1) }),
  );
}

function arrow(role, [dx, dy], scale, origin) {
  const [x, y] = [origin[0] + dx * scale, origin[1] - dy * scale];
  const angle = (Math.atan2(-dy, dx) * 180) / Math.PI;
  return svg(
    "g",
    { class: `mp-${role}` },
    svg("path", { class: `cuts-arrow mp-${role}`, d: `M${origin}L${x},${y}` }),
    svg("path", {
      class: "cuts-head",
      d: "M6,0L-6,-6L-6,6Z",
      transform: `translate(${x},${y}) rotate(${angle})`,
    }),
  );
}

// Both arrows, as large as the picture lets them be.
function arrows(wanted, found, fits) {
  const [xs, ys] = [0, 1].map((axis) => [0, wanted[axis], found[axis]]);
  const [wide, tall] = [xs, ys].map((v) => Math.max(...v) - Math.min(...v));
  const scale = Math.min((WIDTH - 40) / (wide || 1e-12), (HEIGHT - 50) / (tall || 1e-12));
  const middle = (v) => (Math.max(...v) + Math.min(...v)) / 2;
  const origin = [WIDTH / 2 - middle(xs) * scale, 92 + middle(ys) * scale];
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true", focusable: "false" },
    svg("text", { x: 4, y: 12 }, "gradients, both to one scale"),
    arrow("correct", wanted, scale, origin),
    ...(fits ? [] : [arrow("pitfall", found, scale, origin)]),
  );
}

function render({ model, el: host }) {
  const names = ["first", "second", "third"];
  const range = { min: 0, max: SAMPLES, step: 1 };
  const sliders = names.map((name, i) =>
    slider(`Cut ${i + 1} behind`, range, (value) => update(model, name, Math.round(value))),
  );
  const rule = choice("backward() of", Object.entries(RULES), (value) =>
    update(model, "rule", value),
  );
  const left = choice(
    ".grad before",
    [
      [false, "empty"],
      [true, "3 left over"],
    ],
    (value) => update(model, "left_over", value),
  );
  const [picture, compass, outcome] = [el("div"), el("div"), el("p", { "aria-live": "polite" })];
  const body = el("tbody");
  const row = (name, size, each) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, name),
      el("td", {}, String(size)),
      el(
        "td",
        {},
        el(
          "span",
          { class: isFair(each) ? "mp-correct" : "mp-pitfall" },
          `${isFair(each) ? "✓" : "✗"} ${times(each * SAMPLES)}`,
        ),
      ),
    );

  function paint() {
    const [name, leftOver, gradients] = ["rule", "left_over", "gradients"].map((key) =>
      model.get(key),
    );
    sliders.forEach((control, i) => control.set(model.get(names[i])));
    rule.set(name);
    left.set(leftOver);
    const parts = sizes(names.map((key) => model.get(key)));
    const by = weights(parts, name, leftOver);
    const wanted = combine(gradients, [
      ...Array(SAMPLES).fill(1 / SAMPLES),
      ...Array(LEFT_OVER).fill(0),
    ]);
    const found = combine(gradients, by);
    const { length, turn, error } = compare(found, wanted);
    const fits = error < 1e-9;
    picture.replaceChildren(bars(parts, by, leftOver));
    compass.replaceChildren(arrows(wanted, found, fits));
    body.replaceChildren(
      ...(leftOver ? [row("left over", LEFT_OVER, by[SAMPLES])] : []),
      ...parts.map((size, i) => row(String(i + 1), size, factor(size, parts, name) / size)),
    );
    outcome.replaceChildren(
      el(
        "strong",
        { class: fits ? "mp-correct" : "mp-pitfall" },
        fits
          ? "✓ The gradient of all fifty at once."
          : `✗ Off by ${format(100 * error, 0)}%: ${format(length, 2)} times as long, ` +
              `turned by ${format(turn, 0)}°.`,
      ),
    );
  }
  const key = (role, text) =>
    el(
      "span",
      { class: `mp-${role}` },
      el("span", { class: `mp-key mp-${role}`, "aria-hidden": "true" }),
      text,
    );
  host.append(
    el(
      "div",
      { class: "mp cuts", role: "group", "aria-label": "Accumulation explorer" },
      controls(...sliders.map((control) => control.root), rule.root, left.root),
      outcome,
      el(
        "div",
        { class: "mp-grid" },
        el(
          "div",
          {},
          picture,
          el(
            "table",
            {},
            el(
              "thead",
              {},
              el(
                "tr",
                {},
                ...["micro-batch", "samples", "each weighs"].map((head) =>
                  el("th", { scope: "col" }, head),
                ),
              ),
            ),
            body,
          ),
        ),
        el(
          "div",
          {},
          compass,
          el(
            "p",
            { class: "mp-row" },
            key("correct", "all fifty at once"),
            key("pitfall", "accumulated"),
          ),
        ),
      ),
    ),
  );
  return follow(model, [...names, "rule", "left_over", "gradients"], paint);
}

export default { render };
