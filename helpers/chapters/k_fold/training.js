const [SAMPLES, FEATURES, HIDDEN, FOLDS, RATE] = [200, 20, 16, 5, 1];

// Features from a bell curve, and for each sample a coin flip as its label.
export function flips(seed) {
  const random = generator(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const x = Float64Array.from({ length: SAMPLES * FEATURES }, normal);
  return { x, y: Array.from({ length: SAMPLES }, () => Number(random() < 0.5)) };
}

// The samples of one fold, and all others. A fold is a block of neighbours: the order of coin
// flips means nothing, so that there is nothing to shuffle.
export function parts({ x, y }, fold) {
  const at = y.map((_, i) => i);
  const take = (rows) => ({
    x: Float64Array.from(rows.flatMap((i) => [...x.subarray(i * FEATURES, (i + 1) * FEATURES)])),
    y: rows.map((i) => y[i]),
  });
  const inside = (i) => Math.floor((i * FOLDS) / SAMPLES) === fold;
  return { train: take(at.filter((i) => !inside(i))), validation: take(at.filter(inside)) };
}

export function newModel(seed, fold) {
  return network([FEATURES, HIDDEN, 2], generator(10_000 * (fold + 1) + seed));
}

export function train(layers, { x, y }) {
  const seen = trace(layers, x);
  const { slopes } = crossEntropy(seen.at(-1), y, 2);
  gradients(layers, seen, slopes).forEach((gradient, i) => descend(layers[i], gradient, RATE));
}

// In per cent.
export function score(layers, { x, y }) {
  return 100 * accuracy(trace(layers, x).at(-1), y, 2);
}

const mean = (values) => values.reduce((sum, v) => sum + v, 0) / values.length;

// --- the page ---

const RUNS = [
  { role: "pitfall", name: "kept model" },
  { role: "correct", name: "new models" },
];
const [LEFT, RIGHT, TOP, BOTTOM] = [38, 178, 24, 176]; // of the strips, in a picture of 340 by 212
const AXIS = [202, 326]; // of the accuracies
const across = (percent) => AXIS[0] + (percent / 100) * (AXIS[1] - AXIS[0]);

// A strip for each fold, and beside it what both models score on its validation part.
function picture(onpick) {
  const high = (BOTTOM - TOP) / FOLDS;
  const middle = (fold) => TOP + (fold + 0.5) * high;
  const wide = (RIGHT - LEFT) / FOLDS;
  const now = svg("rect", { class: "fold-now", x: LEFT - 2, width: RIGHT - LEFT + 4 });
  const [seen, paths, marker] = [svg("g"), svg("g"), svg("line", { class: "mp-marker" })];
  const strips = Array.from({ length: FOLDS }, (_, row) =>
    svg(
      "g",
      {},
      svg("text", { x: 0, y: middle(row) + 4 }, `fold ${row + 1}`),
      ...Array.from({ length: FOLDS }, (_, block) =>
        svg("rect", {
          class: block === row ? "fold-validation" : "fold-train",
          x: LEFT + block * wide + 0.5,
          y: TOP + row * high + 4,
          width: wide - 1,
          height: high - 8,
        }),
      ),
    ),
  );
  const ticks = [0, 50, 100].map((v) =>
    svg(
      "g",
      {},
      svg("line", { class: "mp-tick", x1: across(v), x2: across(v), y1: TOP, y2: BOTTOM }),
      svg("text", { x: across(v), y: BOTTOM + 14, "text-anchor": "middle" }, `${v}`),
    ),
  );
  const root = svg(
    "svg",
    { viewBox: "0 0 340 212", "aria-hidden": "true", focusable: "false", class: "mp-pick" },
    svg("text", { x: LEFT, y: 14 }, `${SAMPLES} coin flips`),
    svg("text", { x: AXIS[0], y: 14 }, "accuracy in %"),
    svg("text", { x: (AXIS[0] + AXIS[1]) / 2, y: 208, "text-anchor": "middle" }, "guessing is 50"),
    ...strips,
    ...ticks,
    svg("path", { class: "mp-axis", d: `M${AXIS[0]},${TOP}V${BOTTOM}H${AXIS[1]}` }),
    now,
    seen,
    paths,
    marker,
  );
  const pick = ({ clientX }) => {
    const box = root.getBoundingClientRect();
    const x = ((clientX - box.left) / box.width) * 340;
    if (x < RIGHT) return;
    const percent = (100 * (x - AXIS[0])) / (AXIS[1] - AXIS[0]);
    onpick(Math.round(Math.min(Math.max(percent, 0), 100)));
  };
  root.addEventListener("pointerdown", (event) => {
    root.setPointerCapture(event.pointerId);
    pick(event);
  });
  root.addEventListener("pointermove", (event) => {
    if (event.buttons) pick(event);
  });
  return {
    root,
    draw(runs) {
      const reached = runs[0].scores.length; // folds that are done or begun
      now.setAttribute("y", TOP + (reached - 1) * high + 2);
      now.setAttribute("height", high - 4);
      now.style.display = reached ? "" : "none";
      seen.replaceChildren(
        ...Array.from({ length: Math.max(reached - 1, 0) }, (_, i) => i + 1).map((row) =>
          svg(
            "text",
            {
              class: "fold-seen",
              x: LEFT + (row + 0.5) * wide,
              y: middle(row) + 4,
              "text-anchor": "middle",
            },
            "×",
          ),
        ),
      );
      paths.replaceChildren(
        ...runs.flatMap(({ role, scores }) => {
          const at = scores.map((v, fold) => [across(v), middle(fold)]);
          const d = at.map((point, i) => `${i ? "L" : "M"}${point}`).join("");
          return [
            svg("path", { class: `mp-curve fold-path mp-${role}`, d }),
            ...at.map(([cx, cy]) => svg("circle", { class: `mp-dot mp-${role}`, cx, cy, r: 4.5 })),
          ];
        }),
      );
    },
    mark(percent) {
      marker.style.display = percent === null ? "none" : "";
      const x = across(percent ?? 0);
      for (const [name, v] of Object.entries({ x1: x, x2: x, y1: TOP, y2: BOTTOM }))
        marker.setAttribute(name, v);
    },
  };
}

function render({ model, el: host }) {
  const frame = el("div", { class: "mp-large" });
  const prompt = el("p");
  const [current, average] = [0, 1].map(() => RUNS.map(() => el("td")));
  const heads = RUNS.map(({ role, name }) => {
    const key = el("span", { class: `mp-key mp-${role}`, "aria-hidden": "true" });
    return el("th", { scope: "col", class: `mp-${role}` }, key, name);
  });
  const line = (name, cells) => el("tr", {}, el("th", { scope: "row" }, name), ...cells);
  const table = el(
    "table",
    {},
    el("thead", {}, el("tr", {}, el("td"), ...heads)),
    el("tbody", {}, line("this fold", current), line("mean of all so far", average)),
  );
  // For each of RUNS the network in training, and what it scored in each fold so far.
  let [data, part, layers, scores, fold, steps, chart] = [null, null, [], [], 0, 0, null];

  function begin() {
    [data, fold, steps] = [flips(model.get("seed")), 0, 0];
    part = parts(data, 0);
    scores = RUNS.map(() => []);
    layers = RUNS.map(() => newModel(model.get("seed"), 0));
    chart = picture((percent) => update(model, "guess", percent));
    frame.replaceChildren(chart.root);
    paint();
  }

  function step() {
    if (model.get("guess") === null) {
      guess.root.querySelector("input[type=text]").focus();
      return false;
    }
    if (steps === model.get("steps")) {
      if (fold === FOLDS - 1) return false;
      [fold, steps] = [fold + 1, 0];
      part = parts(data, fold);
      layers[1] = newModel(model.get("seed"), fold);
    }
    layers.forEach((each, i) => {
      train(each, part.train);
      scores[i][fold] = score(each, part.validation);
    });
    steps += 1;
    paint();
    return true;
  }

  function paint() {
    const guess = model.get("guess");
    const percent = (value) => (Number.isFinite(value) ? `${format(value, 0)}%` : "–");
    chart.draw(RUNS.map(({ role }, i) => ({ role, scores: scores[i] })));
    chart.mark(guess);
    scores.forEach((list, i) => {
      current[i].textContent = percent(list.at(-1));
      average[i].textContent = percent(mean(list));
    });
    const ended = fold === FOLDS - 1 && steps === model.get("steps");
    const place = ended
      ? `The kept model reports ${percent(mean(scores[0]))}.`
      : `Fold ${fold + 1}, step ${steps} of ${model.get("steps")}.`;
    prompt.textContent =
      guess === null
        ? "Set your guess first. What will the kept model report, as the mean of its folds?"
        : `Your guess: ${percent(guess)}. ${place}`;
  }

  const bar = player(model, { step, reset: begin });
  const length = slider("Steps in a fold", { min: 10, max: 200, step: 10 }, (value) => {
    if (Number.isInteger(value)) update(model, "steps", value);
  });
  const guess = slider("Your guess, %", { min: 0, max: 100, step: 1 }, (value) =>
    update(model, "guess", value),
  );
  const key = (name) =>
    svg(
      "svg",
      { viewBox: "0 0 10 10", width: 10, height: 10, "aria-hidden": "true" },
      svg("rect", { class: name, width: 10, height: 10 }),
    );
  host.append(
    el(
      "div",
      { class: "mp folds", role: "group", "aria-label": "Fold training" },
      controls(length.root, guess.root),
      bar.root,
      prompt,
      frame,
      el(
        "p",
        { class: "mp-soft" },
        key("fold-train"),
        " training ",
        key("fold-validation"),
        " validation, × after the kept model was trained on it in an earlier fold",
      ),
      table,
    ),
  );
  const stops = [
    follow(model, ["seed", "steps"], () => {
      length.set(model.get("steps"));
      bar.restart();
    }),
    follow(model, ["guess"], () => {
      guess.set(model.get("guess") ?? 50);
      paint();
    }),
  ];
  return () => {
    bar.stop();
    stops.forEach((stop) => stop());
  };
}

export default { render };
