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

// One step of plain SGD, in place.
export function descend(layer, gradient, rate) {
  for (const name of ["weight", "bias"])
    layer[name].forEach((value, i) => {
      layer[name][i] = value - rate * gradient[name][i];
    });
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
