const [STEPS, MOST] = [300, 2.5];

// The digits of the state: pixels from 0 to 1, and a class from 0 to `classes` − 1.
export function scans(data, part, classes) {
  const x = numbers(data[`${part}_pixels`]).map((v) => v / 16);
  return { x, y: numbers(data[`${part}_labels`]).map((v) => v % classes) };
}

export const start = (seed, classes) => network([64, classes], generator(seed));

// The lowest loss if probabilities are taken for logits: 1 for the true class, 0 for others.
export const floor = (classes) => Math.log(Math.E + classes - 1) - 1;

// Softmax, then CrossEntropyLoss with its own: the mean loss, and its slope at each logit.
function twice(logits, labels, classes) {
  const p = softmaxRows(logits, classes);
  const { loss, slopes } = crossEntropy(p, labels, classes);
  const pull = labels.map((_, n) => {
    let sum = 0;
    for (let k = n * classes; k < (n + 1) * classes; k++) sum += p[k] * slopes[k];
    return sum;
  });
  return { loss, slopes: p.map((v, i) => v * (slopes[i] - pull[Math.floor(i / classes)])) };
}

export const LOSSES = [twice, crossEntropy];

// One step of SGD on all digits; returns the loss before it.
export function train(layers, { x, y }, classes, rate, lossOf) {
  const seen = trace(layers, x);
  const { loss, slopes } = lossOf(seen.at(-1), y, classes);
  gradients(layers, seen, slopes).forEach((g, i) => descend(layers[i], g, rate));
  return loss;
}

// How many classes the model answers for none of the digits.
export function neverAnswered(logits, classes) {
  const answers = new Set();
  for (let n = 0; n < logits.length; n += classes) {
    const row = logits.slice(n, n + classes);
    answers.add(row.indexOf(Math.max(...row)));
  }
  return classes - answers.size;
}

const SIDES = [
  { role: "pitfall", name: "softmax first" },
  { role: "correct", name: "on logits" },
];

function question(guess, classes, steps) {
  if (guess === null && steps)
    return (
      "The curves stay hidden until you guess. How low can the loss get if a softmax comes " +
      "first? Put the dotted line there, then lock it."
    );
  if (guess === null)
    return (
      `${classes} classes: how low can the loss get if a softmax comes first? ` +
      "Put the dotted line there, then lock it."
    );
  const found = format(floor(classes), 3);
  return (
    `Your guess: ${format(guess, 2)}. ` +
    `With a softmax first, the floor is ${found}, the dash-dotted line.`
  );
}

function render({ model, el: host }) {
  let [runs, steps, learned, asked, chart] = [[], 0];
  const classes = choice(
    "Classes",
    [
      [10, "10 digits"],
      [2, "2, odd or even"],
    ],
    (value) => {
      update(model, "guess", null); // another question, another guess
      update(model, "classes", value);
    },
  );
  const rate = slider("Learning rate", { min: 0.1, max: 3, step: 0.1 }, (value) =>
    update(model, "rate", value),
  );
  const line = slider("Dotted line", { min: 0, max: MOST, step: 0.01 }, (value) =>
    update(model, "line", value),
  );
  const lock = el("button", {
    type: "button",
    onclick: () => update(model, "guess", model.get("guess") === null ? model.get("line") : null),
  });
  const prompt = el("p", { "aria-live": "polite" });
  const count = el("p", { class: "mp-soft" });
  const frame = el("div", { class: "mp-large" });
  const table = modelTable(["loss now", "right, of 200 others", "never answered"], SIDES);

  function begin() {
    const n = model.get("classes");
    steps = 0;
    [learned, asked] = ["train", "test"].map((part) => scans(model.get("data"), part, n));
    runs = LOSSES.map((lossOf) => ({ lossOf, layers: start(model.get("seed"), n), curve: [] }));
    chart = plot({
      title: "training loss",
      x: [0, STEPS],
      y: [0, MOST],
      xTicks: [0, 100, 200, STEPS],
      yTicks: [0, 0.5, 1, 1.5, 2, MOST],
      xLabel: "step",
    });
    frame.replaceChildren(chart.root);
    draggable(chart.root, (value) => update(model, "line", value));
    paint();
  }

  function step() {
    if (steps === STEPS) return false;
    for (const { lossOf, layers, curve } of runs) {
      const loss = train(layers, learned, model.get("classes"), model.get("rate"), lossOf);
      curve.push([steps, loss]);
    }
    steps += 1;
    paint();
    return steps < STEPS;
  }

  function paint() {
    const [n, guess, at] = ["classes", "guess", "line"].map((name) => model.get(name));
    const hidden = guess === null;
    classes.set(n);
    line.set(at);
    prompt.textContent = question(guess, n, steps);
    lock.textContent = hidden ? "Lock my guess" : "Guess again";
    const level = (role, loss) => ({ role, points: [0, STEPS].map((x) => [x, loss]) });
    const drawn = runs.map(({ curve }, i) => ({ role: SIDES[i].role, points: curve }));
    const shown = hidden ? [] : [level("extra", floor(n)), ...drawn];
    chart.draw([level("reference", at), ...shown]);
    const ends = runs.map(({ curve }, i) => ({ role: SIDES[i].role, at: curve.at(-1) }));
    chart.dots(hidden || !steps ? [] : ends);
    const blank = hidden || !steps;
    const tests = runs.map(({ layers }) => trace(layers, asked.x).at(-1));
    table.fill([
      runs.map(({ curve }) => (blank ? "–" : format(curve.at(-1)[1], 3))),
      tests.map((z) => (blank ? "–" : `${format(100 * accuracy(z, asked.y, n), 0)}%`)),
      tests.map((z) => (blank ? "–" : `${neverAnswered(z, n)} of ${n}`)),
    ]);
    count.textContent = `Step ${steps} of ${STEPS}, ${learned.y.length} digits, plain SGD`;
  }

  const bar = player(model, { step, reset: begin });
  host.append(
    el(
      "div",
      { class: "mp softmax-twice", role: "group", "aria-label": "Live training" },
      controls(classes.root, rate.root, bar.root),
      count,
      prompt,
      frame,
      line.root,
      el("div", { class: "mp-row" }, lock),
      table.root,
    ),
  );
  const stops = [
    follow(model, ["classes", "rate", "seed"], () => {
      rate.set(model.get("rate"));
      bar.restart();
    }),
    follow(model, ["guess", "line"], paint),
  ];
  return () => {
    bar.stop();
    stops.forEach((stop) => stop());
  };
}

// Lets a reader drag a loss on the plot, up and down.
function draggable(root, onpick) {
  const axis = root.querySelector(".mp-axis");
  const pick = ({ clientY }) => {
    const { top, height } = axis.getBoundingClientRect();
    const value = MOST * (1 - (clientY - top) / height);
    onpick(Number(Math.min(Math.max(value, 0), MOST).toFixed(2)));
  };
  root.style.cursor = "ns-resize";
  root.style.touchAction = "pan-y"; // a finger still scrolls the page
  root.addEventListener("pointerdown", (event) => {
    root.setPointerCapture(event.pointerId);
    pick(event);
  });
  root.addEventListener("pointermove", (event) => {
    if (event.buttons) pick(event);
  });
}

export default { render };
