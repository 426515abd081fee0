const START = { channels: 64, image: 56, kernel: 3, kind: "dense" };
const MEASURES = [
  ["macs", "MACs"],
  ["params", "parameters"],
  ["bytes", "bytes of the result"],
];

// One image, float32, with biases; the padding keeps the size.
export function cost({ channels, image, kernel, kind }) {
  const seen = kind === "dense" ? channels : 1; // input channels of each output channel
  const weights = channels * seen * kernel * kernel;
  return {
    macs: image * image * weights,
    params: weights + channels,
    bytes: 4 * channels * image * image,
  };
}

// All digits, in groups of three.
export function whole(value) {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
}

export function factor(before, now) {
  const [sign, ratio] = now < before ? ["÷", before / now] : ["×", now / before];
  return `${sign} ${Number(ratio.toPrecision(3))}`;
}

// For each measure a dashed outline for the start and a bar for now; the longer one is full.
function bars(start, now) {
  const [width, row, left] = [340, 46, 8];
  const shapes = MEASURES.flatMap(([key, name], i) => {
    const scale = (width - 2 * left) / Math.max(start[key], now[key]);
    const y = i * row;
    return [
      svg("text", { x: left, y: y + 14 }, name),
      svg("rect", {
        class: "cost-now",
        x: left,
        y: y + 20,
        height: 18,
        width: Math.max(1, now[key] * scale),
      }),
      svg("rect", {
        class: "cost-start",
        x: left,
        y: y + 20,
        height: 18,
        width: Math.max(1, start[key] * scale),
      }),
    ];
  });
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${3 * row}`, "aria-hidden": "true", focusable: "false" },
    ...shapes,
  );
}

function render({ model, el: host }) {
  const set = (name) => (value) => {
    if (Number.isInteger(value)) update(model, name, value);
  };
  const channels = slider("Channels", { min: 16, max: 512, step: 1 }, set("channels"));
  const image = slider("Image side", { min: 7, max: 224, step: 1 }, set("image"));
  const kernel = choice(
    "Kernel",
    [1, 3, 5].map((k) => [k, `${k} × ${k}`]),
    set("kernel"),
  );
  const kind = choice(
    "Kind",
    [
      ["dense", "dense"],
      ["depthwise", "depthwise"],
    ],
    (value) => update(model, "kind", value),
  );
  const picture = el("div", { class: "mp-large cost-bars" });
  const cells = MEASURES.map(() => [0, 1, 2].map(() => el("td")));
  const head = ["start", "now", "factor"].map((name) => el("th", { scope: "col" }, name));
  const table = el(
    "table",
    { class: "cost-table" },
    el("thead", {}, el("tr", {}, el("td"), ...head)),
    el(
      "tbody",
      {},
      ...MEASURES.map(([, name], i) => el("tr", {}, el("th", { scope: "row" }, name), ...cells[i])),
    ),
  );

  function paint() {
    const now = Object.fromEntries(Object.keys(START).map((name) => [name, model.get(name)]));
    for (const [name, part] of Object.entries({ channels, image, kernel, kind }))
      part.set(now[name]);
    const [before, after] = [cost(START), cost(now)];
    picture.replaceChildren(bars(before, after));
    MEASURES.forEach(([key], i) => {
      const texts = [whole(before[key]), whole(after[key]), factor(before[key], after[key])];
      texts.forEach((text, j) => {
        cells[i][j].textContent = text;
      });
    });
  }

  host.append(
    el(
      "div",
      { class: "mp layer-cost", role: "group", "aria-label": "Layer cost explorer" },
      controls(
        channels.root,
        image.root,
        kernel.root,
        kind.root,
        el("div", { class: "mp-row" }, resetButton(model, START)),
      ),
      picture,
      table,
    ),
  );
  return follow(model, Object.keys(START), paint);
}

export default { render };
