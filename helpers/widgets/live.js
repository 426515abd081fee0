// Shared by the widgets that train: this text stands between core.js and their own script.

// Numbers from 0 to 1, the same in every browser (mulberry32).
export function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

// Whole numbers in a text, as the state of a widget carries its data.
export function numbers(text) {
  return Float64Array.from(text.split(" "), Number);
}

// A dense layer that starts as nn.Linear does: within 1/√inputs. `weight` has one row per
// output, one after the other, as PyTorch keeps it.
export function linear(inputs, outputs, random) {
  const bound = 1 / Math.sqrt(inputs);
  const draw = () => (2 * random() - 1) * bound;
  return {
    inputs,
    outputs,
    weight: Float64Array.from({ length: inputs * outputs }, draw),
    bias: Float64Array.from({ length: outputs }, draw),
  };
}

// Rows of `x`, one after the other, become rows of outputs.
export function forward({ inputs, outputs, weight, bias }, x) {
  const out = new Float64Array((x.length / inputs) * outputs);
  for (let at = 0, from = 0; at < out.length; from += inputs)
    for (let k = 0; k < outputs; k++, at++) {
      let sum = bias[k];
      for (let j = 0; j < inputs; j++) sum += weight[k * inputs + j] * x[from + j];
      out[at] = sum;
    }
  return out;
}

// The gradient of a loss, from its slope at each output.
export function backward({ inputs, outputs }, x, slopes) {
  const weight = new Float64Array(inputs * outputs);
  const bias = new Float64Array(outputs);
  for (let at = 0, from = 0; at < slopes.length; from += inputs)
    for (let k = 0; k < outputs; k++, at++) {
      bias[k] += slopes[at];
      for (let j = 0; j < inputs; j++) weight[k * inputs + j] += slopes[at] * x[from + j];
    }
  return { weight, bias };
}

// What those slopes ask of the rows that went in: the slopes at the layer before.
export function backwardInputs({ inputs, outputs, weight }, slopes) {
  const out = new Float64Array((slopes.length / outputs) * inputs);
  for (let at = 0, from = 0; at < slopes.length; from += inputs)
    for (let k = 0; k < outputs; k++, at++)
      for (let j = 0; j < inputs; j++) out[from + j] += slopes[at] * weight[k * inputs + j];
  return out;
}

// ReLU lets slopes through where it let the numbers through.
export const relu = (x) => x.map((v) => Math.max(v, 0));
export const reluSlopes = (x, slopes) => slopes.map((v, i) => (x[i] > 0 ? v : 0));

// Dense layers with ReLU between them. `sizes` are the numbers of features, as [64, 20, 10].
export function network(sizes, random) {
  return sizes.slice(1).map((outputs, i) => linear(sizes[i], outputs, random));
}

// What goes into each layer, and at the end the logits.
export function trace(layers, x) {
  const seen = [x];
  layers.forEach((layer, i) => {
    const out = forward(layer, seen.at(-1));
    seen.push(i < layers.length - 1 ? relu(out) : out);
  });
  return seen;
}

// The gradients of all layers, from the slopes at the logits. Where a ReLU gave 0 its input
// was 0 or below, so that what it gave is enough to know.
export function gradients(layers, seen, slopes) {
  const found = [];
  for (let i = layers.length - 1; i >= 0; i--) {
    found.unshift(backward(layers[i], seen[i], slopes));
    if (i > 0) slopes = reluSlopes(seen[i], backwardInputs(layers[i], slopes));
  }
  return found;
}

// Softmax over each row of `classes` numbers.
export function softmaxRows(logits, classes) {
  const out = new Float64Array(logits.length);
  for (let from = 0; from < logits.length; from += classes) {
    const row = logits.subarray(from, from + classes);
    const top = Math.max(...row);
    const sum = row.reduce((total, v) => total + Math.exp(v - top), 0);
    row.forEach((v, i) => {
      out[from + i] = Math.exp(v - top) / sum;
    });
  }
  return out;
}

// The mean cross-entropy of logits, and its slope at each of them.
export function crossEntropy(logits, labels, classes) {
  const slopes = softmaxRows(logits, classes);
  let loss = 0;
  labels.forEach((label, n) => {
    loss -= logSoftmaxAt(logits.subarray(n * classes, (n + 1) * classes), label);
    slopes[n * classes + label] -= 1;
  });
  return { loss: loss / labels.length, slopes: slopes.map((v) => v / labels.length) };
}

function logSoftmaxAt(row, k) {
  const top = Math.max(...row);
  return row[k] - top - Math.log(row.reduce((total, v) => total + Math.exp(v - top), 0));
}

// The share of rows whose largest number stands at the label.
export function accuracy(logits, labels, classes) {
  const right = labels.filter((label, n) => {
    const row = logits.subarray(n * classes, (n + 1) * classes);
    return row.indexOf(Math.max(...row)) === label;
  });
  return right.length / labels.length;
}

// One step of plain SGD, in place.
export function descend(layer, gradient, rate) {
  for (const name of ["weight", "bias"])
    layer[name].forEach((value, i) => {
      layer[name][i] = value - rate * gradient[name][i];
    });
}

// A table of models. A label of a row or column is a name, or has the role of a curve, whose key
// it shows. `fill` writes the rows of texts.
export function modelTable(rows, columns) {
  const head = (scope, label) => {
    if (typeof label === "string") return el("th", { scope }, label);
    const { role, name } = label;
    const key = el("span", { class: `mp-key mp-${role}`, "aria-hidden": "true" });
    return el("th", { scope, class: `mp-${role}` }, key, name);
  };
  const heads = columns.map((label) => head("col", label));
  const cells = rows.map(() => columns.map(() => el("td")));
  const lines = rows.map((label, i) => el("tr", {}, head("row", label), ...cells[i]));
  return {
    root: el(
      "table",
      {},
      el("thead", {}, el("tr", {}, el("td"), ...heads)),
      el("tbody", {}, ...lines),
    ),
    fill(texts) {
      cells.forEach((row, i) => row.forEach((cell, j) => (cell.textContent = texts[i][j])));
    },
  };
}

// Play or pause, one step, reset, seed. `step` trains once and returns whether there is
// more to do; `reset` begins anew. It plays only when asked to, one step per frame.
export function player(model, { step, reset }) {
  let frame = 0;
  const set = (running) => {
    cancelAnimationFrame(frame);
    frame = running ? requestAnimationFrame(next) : 0;
    play.textContent = running ? "❚❚ Pause" : "▶ Play";
  };
  const next = () => set(step());
  const restart = () => {
    set(false);
    reset();
  };
  const play = el("button", { type: "button", class: "mp-play", onclick: () => set(!frame) });
  const button = (text, onclick) => el("button", { type: "button", onclick }, text);
  const one = button("One step", () => {
    set(false);
    step();
  });
  const whole = (value) => Number.isInteger(value) && 0 <= value && value <= 9999;
  const seed = numberField("Seed", 1, whole, (value) => update(model, "seed", value));
  const name = el("span", { "aria-hidden": "true" }, "Seed");
  set(false);
  return {
    root: el(
      "div",
      { class: "mp-row" },
      play,
      one,
      button("Reset", restart),
      el("span", { class: "mp-seed" }, name, seed.root),
    ),
    restart() {
      seed.set(model.get("seed"));
      restart();
    },
    stop: () => set(false),
  };
}
