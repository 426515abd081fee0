// --- arithmetic: one true class with logit `m`, the other C − 1 with logit 0 ---

// ln(1 + (C − 1)·e^−m), safe for any margin: minus the log-probability of the true class.
export function crossEntropy(m, C) {
  const rest = Math.log(C - 1) - m;
  return rest > 0 ? rest + Math.log1p(Math.exp(-rest)) : Math.log1p(Math.exp(rest));
}

export function probability(m, C) {
  return Math.exp(-crossEntropy(m, C));
}

// [loss, gradient with respect to the true class's logit] of each pairing.
export const PAIRINGS = {
  ce_logits: (m, C) => [crossEntropy(m, C), probability(m, C) - 1],
  nll_log_softmax: (m, C) => [crossEntropy(m, C), probability(m, C) - 1],
  ce_softmax(m, C) {
    const p = probability(m, C);
    const other = (1 - p) / (C - 1);
    const loss = crossEntropy(p - other, C); // the probabilities taken as logits
    const [slope, slopeOther] = [Math.exp(-loss) - 1, (1 - Math.exp(-loss)) / (C - 1)];
    return [loss, p * (slope - (p * slope + (1 - p) * slopeOther))];
  },
  nll_softmax(m, C) {
    const p = probability(m, C);
    return [-p, -p * (1 - p)];
  },
  nll_logits: (m) => [-m, -1],
};

export function floorOf(pairing, C) {
  return {
    ce_logits: 0,
    nll_log_softmax: 0,
    ce_softmax: Math.log(Math.E + C - 1) - 1,
    nll_softmax: -1,
    nll_logits: -Infinity,
  }[pairing];
}

// --- the page ---

const NAMES = {
  ce_softmax: "softmax, CrossEntropyLoss",
  nll_softmax: "softmax, NLLLoss",
  nll_logits: "logits, NLLLoss",
  nll_log_softmax: "log_softmax, NLLLoss",
};
const SPAN = [-20, 20];

function render({ model, el: host }) {
  const pairing = choice("Compare", Object.entries(NAMES), (value) =>
    update(model, "pairing", value),
  );
  const classes = choice(
    "Classes",
    [2, 5, 10, 100, 1000].map((c) => [c, String(c)]),
    (value) => update(model, "classes", value),
  );
  const margin = slider("Margin, −20 to 20", { min: -20, max: 20, step: 0.1 }, (value) =>
    update(model, "margin", value),
  );
  const charts = el("div", { class: "mp-grid" });
  const rows = el("tbody");
  const row = (role, name, numbers) =>
    el(
      "tr",
      {},
      el(
        "th",
        { scope: "row", class: `mp-${role}` },
        el("span", { class: `mp-key mp-${role}`, "aria-hidden": "true" }),
        name,
      ),
      ...numbers.map((n) => el("td", {}, n)),
    );

  function paint() {
    const [m, C, name] = ["margin", "classes", "pairing"].map((key) => model.get(key));
    pairing.set(name);
    classes.set(C);
    margin.set(m);
    const floor = floorOf(name, C);
    const role = name === "nll_log_softmax" ? "extra" : "pitfall"; // that one is right too
    rows.replaceChildren(
      row(
        "correct",
        "logits, CrossEntropyLoss",
        PAIRINGS.ce_logits(m, C).map((v) => format(v)),
      ),
      row(
        role,
        NAMES[name],
        PAIRINGS[name](m, C).map((v) => format(v)),
      ),
      row("reference", "its lowest loss", [format(floor, 3), ""]),
    );
    const xs = Array.from({ length: 201 }, (_, i) => SPAN[0] + (i * (SPAN[1] - SPAN[0])) / 200);
    const lines = (part) =>
      [
        ["correct", "ce_logits"],
        [role, name],
      ].map(([role, key]) => ({ role, points: xs.map((x) => [x, PAIRINGS[key](x, C)[part]]) }));
    const common = { x: SPAN, xTicks: [-20, -10, 0, 10, 20], xLabel: "margin" };
    const losses = plot({ ...common, title: "loss", y: [-3, 23], yTicks: [0, 10, 20] });
    const slopes = plot({
      ...common,
      title: "gradient of the true class's logit",
      y: [-1.05, 0.05],
      yTicks: [-1, -0.5, 0],
    });
    losses.draw([
      ...lines(0),
      ...(Number.isFinite(floor)
        ? [{ role: "reference", points: SPAN.map((x) => [x, floor]) }]
        : []),
    ]);
    slopes.draw(lines(1));
    for (const chart of [losses, slopes]) chart.mark(m);
    charts.replaceChildren(losses.root, slopes.root);
  }
  host.append(
    el(
      "div",
      { class: "mp cross-entropy", role: "group", "aria-label": "Cross-entropy explorer" },
      controls(pairing.root, classes.root, margin.root),
      el(
        "table",
        { "aria-live": "polite" },
        el(
          "thead",
          {},
          el(
            "tr",
            {},
            ...["", "loss", "gradient"].map((name) =>
              name ? el("th", { scope: "col" }, name) : el("td"),
            ),
          ),
        ),
        rows,
      ),
      charts,
    ),
  );
  return follow(model, ["margin", "classes", "pairing"], paint);
}

export default { render };
