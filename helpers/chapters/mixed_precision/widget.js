export function band(size, exponent, type) {
  const rounded = round(size * 2 ** exponent, type);
  if (rounded === 0) return "zero";
  if (rounded === Infinity) return "inf";
  return rounded < 2 ** TYPES[type][1] ? "subnormal" : "normal";
}

// A share in percent as people read it: no power of ten.
export function percent(share) {
  if (share === 0) return "0%";
  if (share < 0.01) return "under 0.01%";
  return share < 1 ? `${share.toFixed(2)}%` : `${format(share, 1)}%`;
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

// The power of two at which half of the sum of all sizes becomes zero.
export function halfLost(sizes, type) {
  let exponent = 0;
  while (counts(sizes, exponent, type).lost < 0.5) exponent -= 1;
  return exponent;
}

// --- the page ---

const RANGE = [-28, 32];
const AXIS = [-60, 36];
const [LEFT, WIDTH, TOP, BASE] = [6, 328, 34, 164];
const ROLES = { zero: "pitfall", subnormal: "extra", normal: "correct", inf: "pitfall" };
const NAMES = { zero: "zero", subnormal: "few digits", normal: "all digits", inf: "inf" };
const px = (power) =>
  LEFT + ((Math.max(AXIS[0], Math.min(AXIS[1], power)) - AXIS[0]) / (AXIS[1] - AXIS[0])) * WIDTH;

function zones(type) {
  const [bits, least, most] = TYPES[type];
  // Half of the smallest number is rounded to 0.
  const edges = [AXIS[0], least - bits, least, most + 1, AXIS[1]];
  return BANDS.flatMap((name, i) => {
    const [from, to] = [px(edges[i]), px(edges[i + 1])];
    if (to <= from) return [];
    const bad = ROLES[name] === "pitfall";
    const box = { x: from, y: TOP, width: to - from, height: BASE - TOP };
    return [
      ...(bad ? [svg("rect", { class: "scale-zone", ...box })] : []),
      svg("text", { x: (from + to) / 2, y: i % 2 ? 28 : 13, "text-anchor": "middle" }, NAMES[name]),
      svg("line", { class: "scale-edge", x1: to, x2: to, y1: TOP, y2: BASE }),
    ];
  });
}

// The histogram; before a guess without the type's limits.
function picture(sizes, exponent, type, hidden) {
  const bins = histogram(sizes, exponent, AXIS);
  const tall = Math.max(...bins);
  const bars = bins.flatMap((count, i) => {
    if (!count) return [];
    const high = (count / tall) * (BASE - TOP - 4);
    const where = band(1.5 * 2 ** (AXIS[0] + i), 0, type);
    return [
      svg("rect", {
        class: `mp-${hidden ? "reference" : ROLES[where]}`,
        x: px(AXIS[0] + i) + 0.3,
        y: BASE - high,
        width: WIDTH / bins.length - 0.6,
        height: high,
      }),
    ];
  });
  const ticks = [-48, -24, 0, 24].map((power) =>
    svg("text", { x: px(power), y: BASE + 15, "text-anchor": "middle" }, powerOfTwo(power)),
  );
  const title = "size of a gradient, times the factor of the loss";
  return svg(
    "svg",
    { viewBox: "0 0 340 200", "aria-hidden": "true", focusable: "false", class: "mp-pick" },
    ...(hidden ? [] : zones(type)),
    ...bars,
    svg("path", { class: "mp-axis", d: `M${LEFT},${BASE}H${LEFT + WIDTH}` }),
    ...ticks,
    svg("text", { x: LEFT + WIDTH / 2, y: BASE + 30, "text-anchor": "middle" }, title),
  );
}

function render({ model, el: host }) {
  const place = (value) =>
    update(model, "exponent", Math.round(Math.min(Math.max(value, RANGE[0]), RANGE[1])));
  const type = choice(
    "Type",
    Object.keys(TYPES).map((n) => [n, n]),
    (value) => {
      update(model, "guess", null); // another type, another guess
      update(model, "type", value);
    },
  );
  const prompt = el("p", { "aria-live": "polite" });
  const frame = el("div", { class: "mp-large" });
  const factor = slider("Loss × 2^", { min: RANGE[0], max: RANGE[1], step: 1 }, place);
  const lock = el("button", {
    type: "button",
    onclick: () =>
      update(model, "guess", model.get("guess") === null ? model.get("exponent") : null),
  });
  const reset = resetButton(model, { guess: null, exponent: 0, type: "float16" });
  const rows = ["become 0", "of their sum lost", "too few digits", "become inf"].map((name) => ({
    name,
    cells: [el("td"), el("td")],
  }));
  const heads = ["gradients", "your guess", "now"].map((text) => el("th", { scope: "col" }, text));
  const table = el(
    "table",
    {},
    el("thead", {}, el("tr", {}, ...heads)),
    el(
      "tbody",
      {},
      ...rows.map(({ name, cells }) => el("tr", {}, el("th", { scope: "row" }, name), ...cells)),
    ),
  );

  // What is dragged is the histogram: to the left, all gradients become smaller.
  let from = null;
  frame.addEventListener("pointerdown", (event) => {
    frame.setPointerCapture(event.pointerId);
    from = [event.clientX, model.get("exponent")];
  });
  frame.addEventListener("pointermove", ({ buttons, clientX }) => {
    if (!buttons || !from) return;
    const wide = frame.firstChild.getBoundingClientRect().width * (WIDTH / 340);
    place(from[1] + ((clientX - from[0]) / wide) * (AXIS[1] - AXIS[0]));
  });

  function paint() {
    const [sizes, exponent, name, guess] = ["gradients", "exponent", "type", "guess"].map((key) =>
      model.get(key),
    );
    const hidden = guess === null;
    const answer = powerOfTwo(halfLost(sizes, name));
    factor.set(exponent);
    type.set(name);
    lock.textContent = hidden ? "Lock my guess" : "Guess again";
    prompt.textContent = hidden
      ? `At which factor has ${name} lost half? Drag the bars to the left, then lock.`
      : `Your guess: ${powerOfTwo(guess)}. It happens at ${answer}. Now drag on.`;
    frame.replaceChildren(picture(sizes, exponent, name, hidden));
    [guess, exponent].forEach((at, column) => {
      const found = counts(sizes, at ?? 0, name);
      const { zero, subnormal, inf, lost } = found;
      const texts = [zero, inf ? "step skipped" : percent(100 * lost), subnormal, inf];
      rows.forEach(({ cells }, i) => {
        cells[column].textContent = hidden ? "–" : String(texts[i]);
      });
    });
  }

  host.append(
    el(
      "div",
      { class: "mp loss-scale", role: "group", "aria-label": "Loss scale explorer" },
      el("div", { class: "mp-row" }, type.root, reset),
      prompt,
      frame,
      factor.root,
      el("div", { class: "mp-row" }, lock),
      table,
    ),
  );
  return follow(model, ["gradients", "exponent", "type", "guess"], paint);
}

export default { render };
