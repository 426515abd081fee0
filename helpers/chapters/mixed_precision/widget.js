// --- arithmetic ---

// Bits of the significand, and the smallest and largest exponent of a normal number.
export const TYPES = { float16: [11, -14, 15], bfloat16: [8, -126, 127] };
export const BANDS = ["zero", "subnormal", "normal", "inf"];

// The exponent of two that a positive number begins with; logarithms alone can be off by one.
function exponentOf(size) {
  const guess = Math.floor(Math.log2(size));
  return 2 ** guess > size ? guess - 1 : 2 ** (guess + 1) <= size ? guess + 1 : guess;
}

// tensor.to(type) of a float32: the nearest number, of two the one that ends in 0.
export function round(value, type) {
  const [bits, least, most] = TYPES[type];
  const size = Math.abs(f32(value));
  if (size === 0 || !Number.isFinite(size)) return f32(value);
  const step = 2 ** (Math.max(exponentOf(size), least) - bits + 1);
  const [whole, rest] = [Math.floor(size / step), (size / step) % 1];
  const rounded = (whole + (rest > 0.5 || (rest === 0.5 && whole % 2 === 1) ? 1 : 0)) * step;
  return Math.sign(value) * (rounded >= 2 ** (most + 1) ? Infinity : rounded);
}

export function band(size, exponent, type) {
  const rounded = round(size * 2 ** exponent, type);
  if (rounded === 0) return "zero";
  if (rounded === Infinity) return "inf";
  return rounded < 2 ** TYPES[type][1] ? "subnormal" : "normal";
}

// How many sizes are in each band, and the share of their sum that becomes zero.
export function counts(sizes, exponent, type) {
  const found = { zero: 0, subnormal: 0, normal: 0, inf: 0, lost: 0 };
  let total = 0;
  for (const size of sizes) {
    const where = band(size, exponent, type);
    found[where] += 1;
    found.lost += where === "zero" ? size : 0;
    total += size;
  }
  return { ...found, lost: found.lost / total };
}

// How many scaled sizes there are from each power of two to the next; the first and
// last bin take what lies beyond.
export function histogram(sizes, exponent, [low, high]) {
  const bins = Array(high - low).fill(0);
  for (const size of sizes)
    bins[Math.max(0, Math.min(bins.length - 1, exponentOf(size * 2 ** exponent) - low))] += 1;
  return bins;
}

// --- the page ---

const AXIS = [-48, 24];
const [LEFT, WIDTH, TOP, BASE] = [6, 328, 34, 164];
const ROLES = { zero: "pitfall", subnormal: "extra", normal: "correct", inf: "pitfall" };
const px = (power) =>
  LEFT + ((Math.max(AXIS[0], Math.min(AXIS[1], power)) - AXIS[0]) / (AXIS[1] - AXIS[0])) * WIDTH;

function picture(sizes, exponent, type) {
  const [bits, least, most] = TYPES[type];
  // Half of the smallest number is rounded to 0.
  const edges = [AXIS[0], least - bits, least, most + 1, AXIS[1]];
  const bins = histogram(sizes, exponent, AXIS);
  const tall = Math.max(...bins);
  const zones = BANDS.flatMap((name, i) => {
    const [from, to] = [px(edges[i]), px(edges[i + 1])];
    if (to <= from) return [];
    const wash =
      ROLES[name] === "pitfall"
        ? [
            svg("rect", {
              class: "scale-zone",
              x: from,
              y: TOP,
              width: to - from,
              height: BASE - TOP,
            }),
          ]
        : [];
    return [
      ...wash,
      svg("text", { x: (from + to) / 2, y: i % 2 ? 28 : 13, "text-anchor": "middle" }, name),
      svg("line", { class: "scale-edge", x1: to, x2: to, y1: TOP, y2: BASE }),
    ];
  });
  const bars = bins.flatMap((count, i) => {
    if (!count) return [];
    const [x, high] = [px(AXIS[0] + i), (count / tall) * (BASE - TOP - 4)];
    const where = band(1.5 * 2 ** (AXIS[0] + i), 0, type);
    return [
      svg("rect", {
        class: `mp-${ROLES[where]}`,
        x: x + 0.4,
        y: BASE - high,
        width: WIDTH / bins.length - 0.8,
        height: high,
      }),
    ];
  });
  const ticks = [-40, -24, -8, 8].map((power) =>
    svg(
      "text",
      { x: px(power), y: BASE + 15, "text-anchor": "middle" },
      `2^${power}`.replace("-", "−"),
    ),
  );
  return svg(
    "svg",
    { viewBox: "0 0 340 196", "aria-hidden": "true", focusable: "false" },
    ...zones,
    ...bars,
    svg("path", { class: "mp-axis", d: `M${LEFT},${BASE}H${LEFT + WIDTH}` }),
    ...ticks,
    svg(
      "text",
      { x: LEFT + WIDTH / 2, y: BASE + 30, "text-anchor": "middle" },
      "size of the gradient × scale",
    ),
  );
}

function verdict(found, total, type) {
  const percent = (share) => `${format(100 * share, share < 0.01 ? 3 : 0)}%`;
  if (found.inf)
    return [
      "pitfall",
      `✗ ${found.inf} of ${total} overflow in ${type}: ` +
        "a GradScaler skips this step, and halves the scale.",
    ];
  if (found.zero === total)
    return ["pitfall", `✗ All ${total} become 0 in ${type}: nothing is learned.`];
  if (found.zero)
    return [
      "pitfall",
      `✗ ${percent(found.zero / total)} become 0 in ${type}. ` +
        `Together they are ${percent(found.lost)} of the sum of the sizes.`,
    ];
  return ["correct", `✓ None becomes 0 or inf in ${type}.`];
}

function render({ model, el: host }) {
  const pick = el("div");
  const scale = slider("scale 2^", { min: -20, max: 32, step: 1 }, (v) =>
    update(model, "exponent", v),
  );
  const type = choice(
    "Picture for",
    Object.keys(TYPES).map((n) => [n, n]),
    (v) => update(model, "type", v),
  );
  const jump = (text, power) =>
    el("button", { type: "button", onclick: () => update(model, "exponent", power) }, text);
  const [chart, news, body] = [el("div"), el("p", { "aria-live": "polite" }), el("tbody")];
  const heads = ["gradients", ...Object.keys(TYPES)].map((text) =>
    el("th", { scope: "col" }, text),
  );
  let [names, which] = [null, null];

  function paint() {
    const [gradients, shown, exponent, name] = ["gradients", "shown", "exponent", "type"].map(
      (key) => model.get(key),
    );
    const known = Object.keys(gradients);
    if (`${known}` !== names) {
      names = `${known}`;
      which = choice(
        "Gradients",
        known.map((n) => [n, n]),
        (v) => update(model, "shown", v),
      );
      pick.replaceChildren(which.root);
    }
    const sizes = gradients[shown];
    which.set(shown);
    scale.set(exponent);
    type.set(name);
    chart.replaceChildren(picture(sizes, exponent, name));
    const found = Object.keys(TYPES).map((n) => counts(sizes, exponent, n));
    body.replaceChildren(
      ...BANDS.map((b) =>
        el(
          "tr",
          {},
          el("th", { scope: "row" }, b),
          ...found.map((f) => el("td", {}, String(f[b]))),
        ),
      ),
    );
    const [role, text] = verdict(counts(sizes, exponent, name), sizes.length, name);
    news.replaceChildren(
      `Loss × ${format(2 ** exponent, exponent < 0 ? 7 : 0)}: `,
      el("strong", { class: `mp-${role}` }, text),
    );
  }
  host.append(
    el(
      "div",
      { class: "mp loss-scale", role: "group", "aria-label": "Loss scale explorer" },
      controls(
        pick,
        type.root,
        scale.root,
        el(
          "div",
          { class: "mp-row" },
          jump("2^−17: loss × 0.000008", -17),
          jump("2^0: no scaler", 0),
          jump("2^16: a new GradScaler", 16),
        ),
      ),
      news,
      el(
        "div",
        { class: "mp-figure" },
        chart,
        el("table", { class: "scale-table" }, el("thead", {}, el("tr", {}, ...heads)), body),
      ),
    ),
  );
  return follow(model, ["gradients", "shown", "exponent", "type"], paint);
}

export default { render };
