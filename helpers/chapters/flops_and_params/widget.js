// --- arithmetic: one image or one sequence, float32, with biases ---

// A square convolution with padding kernel // 2, as nn.Conv2d computes it.
export function convolution({ c_in, c_out, kernel, stride, groups, image }) {
  const size = Math.floor((image + 2 * Math.floor(kernel / 2) - kernel) / stride) + 1;
  const weights = c_out * (c_in / groups) * kernel * kernel;
  const macs = size * size * weights;
  return { size, macs, flops: 2 * macs, params: weights + c_out, bytes: 4 * c_out * size * size };
}

// Self-attention as in nn.MultiheadAttention: four projections, then scores and mixing.
export function attention({ tokens, width, heads }) {
  const cost = (macs, params, results) => ({ macs, flops: 2 * macs, params, bytes: 4 * results });
  return {
    projections: cost(
      4 * tokens * width * width,
      4 * width * width + 4 * width,
      4 * tokens * width,
    ),
    mixing: cost(2 * tokens * tokens * width, 0, heads * tokens * tokens + tokens * width),
  };
}

export function gcd(a, b) {
  return b ? gcd(b, a % b) : a;
}

// The largest divisor of n that is not above a limit.
export function divisor(n, limit) {
  let d = Math.max(1, Math.min(n, Math.floor(limit)));
  while (n % d) d -= 1;
  return d;
}

// All digits, in groups of three.
export function whole(value) {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
}

// The unit in which a largest value has at most three digits before the point.
export function unit(largest) {
  return (
    [
      [1e12, "trillions"],
      [1e9, "billions"],
      [1e6, "millions"],
      [1e3, "thousands"],
    ].find(([size]) => largest >= size) ?? [1, "ones"]
  );
}

// --- the page ---

const CONV = {
  c_in: ["Channels in", 1, 512, 1],
  c_out: ["Channels out", 1, 512, 1],
  kernel: ["Kernel", 1, 7, 2],
  stride: ["Stride", 1, 4, 1],
  groups: ["Groups", 1, 512, 1],
  image: ["Image side", 1, 224, 1],
};
const ATTENTION = { tokens: ["Tokens N", 1, 4096, 1], width: ["Width d", 64, 1024, 64] };
const ROWS = [
  ["macs", "MACs"],
  ["flops", "FLOPs"],
  ["params", "Parameters"],
  ["bytes", "Activation bytes"],
];

function chart(title, xLabel, span, xTicks, at, lines) {
  const largest = Math.max(...lines.flatMap(({ points }) => points.map(([, v]) => v)));
  const [size, name] = unit(largest);
  const top = Number((largest / size).toPrecision(2)) || 1;
  const drawn = plot({
    title: `${title}, in ${name}`,
    x: span,
    y: [0, Math.max(top, largest / size)],
    xTicks,
    yTicks: [0, top / 2, top],
    xLabel,
  });
  drawn.draw(
    lines.map(({ role, points }) => ({ role, points: points.map(([x, v]) => [x, v / size]) })),
  );
  drawn.mark(at);
  return drawn.root;
}

function table(caption, columns) {
  return [
    el("caption", { class: "mp-soft" }, caption),
    el(
      "thead",
      {},
      el(
        "tr",
        {},
        el("td"),
        ...columns.map(([role, name]) =>
          el(
            "th",
            { scope: "col", class: `mp-${role}` },
            el("span", { class: `mp-key mp-${role}`, "aria-hidden": "true" }),
            name,
          ),
        ),
      ),
    ),
    el(
      "tbody",
      {},
      ...ROWS.map(([key, name]) =>
        el(
          "tr",
          {},
          el("th", { scope: "row" }, name),
          ...columns.map(([, , cost]) => el("td", {}, whole(cost[key]))),
        ),
      ),
    ),
  ];
}

function render({ model, el: host }) {
  const get = (names) => Object.fromEntries(names.map((name) => [name, model.get(name)]));
  const set = (changes) => {
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    model.save_changes();
  };
  const layer = choice(
    "Layer",
    [
      ["convolution", "convolution"],
      ["attention", "attention"],
    ],
    (value) => update(model, "layer", value),
  );
  const heads = choice(
    "Heads",
    [1, 4, 16].map((h) => [h, String(h)]),
    (value) => update(model, "heads", value),
  );
  // Between two steps of a slider a typed number is taken to the step below; groups
  // follow the channels, as they must divide both.
  const change = (name, value, [, min, , step]) => {
    const next = {
      ...get(Object.keys(CONV)),
      [name]: min + Math.floor((value - min) / step) * step,
    };
    if (name in CONV) next.groups = divisor(gcd(next.c_in, next.c_out), next.groups);
    set(
      name in CONV
        ? { groups: next.groups, ...(name === "groups" ? {} : { [name]: next[name] }) }
        : { [name]: next[name] },
    );
  };
  const sliders = Object.fromEntries(
    Object.entries({ ...CONV, ...ATTENTION }).map(([name, spec]) => [
      name,
      slider(spec[0], { min: spec[1], max: spec[2], step: spec[3] }, (value) =>
        change(name, value, spec),
      ),
    ]),
  );
  const results = el("table", { class: "cost-table", "aria-live": "polite" });
  const formula = el("p", { class: "mp-soft" });
  const picture = el("div", { class: "cost-chart" });
  const settings = {
    convolution: controls(...Object.keys(CONV).map((name) => sliders[name].root)),
    attention: controls(...Object.keys(ATTENTION).map((name) => sliders[name].root), heads.root),
  };

  function paintConvolution() {
    const settings = get(Object.keys(CONV));
    const { c_in, c_out, kernel, groups, image } = settings;
    const dense = { ...settings, groups: 1 };
    const cost = convolution(settings);
    sliders.groups.limit(1, gcd(c_in, c_out));
    results.replaceChildren(
      ...table(
        `One image of ${c_in} × ${image} × ${image} becomes ${c_out} × ${cost.size} × ${cost.size}`,
        [
          ["correct", "this layer", cost],
          ["reference", "if groups = 1", convolution(dense)],
        ],
      ),
    );
    const products = `(${c_in} / ${groups}) × ${kernel}² products`;
    formula.textContent = `MACs: ${cost.size}² places × ${c_out} channels × ${products}`;
    const sides = Array.from({ length: 224 }, (_, i) => i + 1);
    const curve = (role, base) => ({
      role,
      points: sides.map((side) => [side, convolution({ ...base, image: side }).macs]),
    });
    picture.replaceChildren(
      chart("MACs", "image side", [0, 224], [0, 56, 112, 168, 224], image, [
        curve("reference", dense),
        curve("correct", settings),
      ]),
    );
  }

  function paintAttention() {
    const settings = get(["tokens", "width", "heads"]);
    const { tokens, width } = settings;
    const { projections, mixing } = attention(settings);
    results.replaceChildren(
      ...table(`One sequence of ${tokens} tokens, ${width} wide`, [
        ["reference", "projections", projections],
        ["correct", "scores, mixing", mixing],
      ]),
    );
    formula.textContent =
      `MACs: 4 × ${tokens} × ${width}² for the projections, ` +
      `2 × ${tokens}² × ${width} for scores and mixing`;
    const lengths = Array.from({ length: 129 }, (_, i) => 32 * i);
    const curve = (role, part) => ({
      role,
      points: lengths.map((n) => [n, attention({ ...settings, tokens: n })[part].macs]),
    });
    picture.replaceChildren(
      chart("MACs", "tokens N", [0, 4096], [0, 1024, 2048, 3072, 4096], tokens, [
        curve("reference", "projections"),
        curve("correct", "mixing"),
      ]),
    );
  }

  function paint() {
    const shown = model.get("layer");
    layer.set(shown);
    heads.set(model.get("heads"));
    for (const [name, part] of Object.entries(settings)) part.hidden = name !== shown;
    if (shown === "convolution") paintConvolution();
    else paintAttention();
    for (const name of Object.keys(sliders)) sliders[name].set(model.get(name));
  }
  host.append(
    el(
      "div",
      { class: "mp conv-cost", role: "group", "aria-label": "Layer cost explorer" },
      controls(layer.root),
      settings.convolution,
      settings.attention,
      results,
      formula,
      picture,
    ),
  );
  return follow(model, ["layer", "heads", ...Object.keys(sliders)], paint);
}

export default { render };
