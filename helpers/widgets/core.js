// Shared by every widget: this text stands in front of each widget's own module.

export const f32 = Math.fround;

// Up to `digits` decimals; a number that this would show as zero gets an exponent.
export function format(value, digits = 4) {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "−inf";
  const small = value !== 0 && Math.abs(value) < 0.5 * 10 ** -digits;
  return (small ? value.toExponential(1) : value.toFixed(digits)).replace(/-/g, "−");
}

// What a reader typed: a comma or a point, a hyphen or a minus, a fraction, a product, a power
// (2^9 or 2**9). NaN if no number, and for 1,000, which is one to some and a thousand to others.
export function parse(text) {
  if (/[1-9]\d*,\d{3}(?!\d)/.test(text)) return NaN;
  const plain = (part) => (part.trim() === "" ? NaN : Number(part));
  const pair = (part, sign, combine, read) => {
    const numbers = part.split(sign).map(read);
    return numbers.length === 1 ? numbers[0] : numbers.length === 2 ? combine(...numbers) : NaN;
  };
  const power = (part) => pair(part, "^", (a, b) => a ** b, plain);
  const product = (part) => pair(part, /[*×]/, (a, b) => a * b, power);
  const plainSigns = text.replace(/−/g, "-").replace(/,/g, ".").replace(/\*\*/g, "^");
  return pair(plainSigns, "/", (a, b) => a / b, product);
}

export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value") node.value = value;
    else if (value !== null && value !== false) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// Code that may break before a name alone: after a dot, a bracket or an underscore.
export function breakable(text) {
  return text.split(/(?<=[._(])(?=[a-z])/i).flatMap((part, i) => (i ? [el("wbr"), part] : [part]));
}

// What the reader sets: the upper part of every widget.
export function controls(...parts) {
  return el("div", { class: "mp-controls" }, ...parts);
}

// A change made by the reader: kept in the model, so a kernel sees it too.
export function update(model, name, value) {
  model.set(name, value);
  model.save_changes();
}

// Paint now and at each change of a named value; returns the clean-up.
export function follow(model, names, paint) {
  for (const name of names) model.on(`change:${name}`, paint);
  paint();
  return () => {
    for (const name of names) model.off(`change:${name}`, paint);
  };
}

// Back to the values of `start`; `after` puts back what the model does not hold.
export function resetButton(model, start, after = () => {}) {
  const onclick = () => {
    for (const name in start) update(model, name, start[name]);
    after();
  };
  return el("button", { type: "button", onclick }, "Reset");
}

// One of a few: native radio buttons, so arrow keys work.
export function choice(legend, options, onchange) {
  const name = `mp-${Math.random().toString(36).slice(2)}`; // unlike any other widget's
  const inputs = options.map(([value, text]) => {
    const input = el("input", { type: "radio", name, onchange: () => onchange(value) });
    return { value, input, label: el("label", {}, input, text) };
  });
  return {
    root: el(
      "fieldset",
      {},
      el("legend", {}, legend),
      el("div", { class: "mp-options" }, ...inputs.map((i) => i.label)),
    ),
    set(value) {
      for (const i of inputs) i.input.checked = i.value === value;
    },
  };
}

// A number to type, or to step with the arrow keys. What `fits` refuses is marked, kept
// from the model, and replaced by the last good number when the field is left.
export function numberField(label, step, fits, onvalue) {
  let [good, bad] = [NaN, false];
  const take = (value) => {
    const usable = Number.isFinite(value) && fits(value);
    input.setAttribute("aria-invalid", !usable);
    if (usable) onvalue(value);
    return usable;
  };
  const input = el("input", {
    type: "text",
    inputmode: "decimal",
    autocomplete: "off",
    "aria-label": label,
    oninput: () => take(parse(input.value)),
    onkeydown: (event) => {
      const direction = { ArrowUp: 1, ArrowDown: -1 }[event.key];
      if (!direction) return;
      event.preventDefault();
      const stepped = Number((good + direction * step).toFixed(6));
      if (take(stepped)) input.value = stepped;
    },
    onblur: () => set(good, bad),
  });
  function set(value, invalid = false) {
    [good, bad] = [value, invalid];
    if (document.activeElement !== input) input.value = value;
    if (document.activeElement !== input || invalid) input.setAttribute("aria-invalid", invalid);
  }
  return { root: input, set };
}

// A slider with its number: drag, arrow keys, or type.
export function slider(text, { min, max, step }, oninput) {
  const range = el("input", {
    type: "range",
    min,
    max,
    step,
    "aria-label": text,
    oninput: () => oninput(Number(range.value)),
  });
  const number = numberField(`${text}, as a number`, step, (v) => min <= v && v <= max, oninput);
  number.root.title = `${min} to ${max}`;
  return {
    root: el(
      "div",
      { class: "mp-row mp-slider" },
      el("span", { "aria-hidden": "true" }, text),
      range,
      number.root,
    ),
    set(value) {
      range.value = value;
      number.set(value);
    },
  };
}

// A line plot: `draw([{role, points}])`, `dots([{role, at}])`, and a dotted vertical line at
// `mark(x)`. With `onpick` a reader drags that line, or touches where it should be.
export function plot({ title, x, y, xTicks, yTicks, xLabel, onpick }) {
  const [width, height, left, bottom, top, right] = [340, 200, 38, 34, 24, 12];
  const px = (v) => left + ((v - x[0]) / (x[1] - x[0])) * (width - left - right);
  const py = (v) => height - bottom - ((v - y[0]) / (y[1] - y[0])) * (height - bottom - top);
  // An inner svg cuts off what leaves the axes, with a little room for the line's width.
  const frame = [left, top - 3, width - left - right, height - bottom - top + 6];
  const curves = svg("svg", {
    x: frame[0],
    y: frame[1],
    width: frame[2],
    height: frame[3],
    viewBox: frame.join(" "),
  });
  const marker = svg("line", { class: "mp-marker", y1: top, y2: height - bottom });
  const ticks = [
    ...xTicks.map((v) =>
      svg(
        "g",
        {},
        svg("line", { class: "mp-tick", x1: px(v), x2: px(v), y1: top, y2: height - bottom }),
        svg("text", { x: px(v), y: height - bottom + 14, "text-anchor": "middle" }, format(v, 0)),
      ),
    ),
    ...yTicks.map((v) =>
      svg(
        "g",
        {},
        svg("line", { class: "mp-tick", x1: left, x2: width - right, y1: py(v), y2: py(v) }),
        svg(
          "text",
          { x: left - 5, y: py(v) + 4, "text-anchor": "end" },
          format(v, Number.isInteger(v) ? 0 : 1),
        ),
      ),
    ),
  ];
  const root = svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true", focusable: "false" },
    ...ticks,
    svg("path", { class: "mp-axis", d: `M${left},${top}V${height - bottom}H${width - right}` }),
    svg("text", { x: left, y: 14 }, title),
    svg("text", { x: (width + left) / 2, y: height - 4, "text-anchor": "middle" }, xLabel),
    curves,
  );
  if (onpick) {
    const pick = ({ clientX }) => {
      const box = root.getBoundingClientRect();
      const share = ((clientX - box.left) / box.width) * width - left;
      const value = x[0] + (share / (width - left - right)) * (x[1] - x[0]);
      onpick(Math.min(Math.max(value, x[0]), x[1]));
    };
    root.classList.add("mp-pick");
    root.addEventListener("pointerdown", (event) => {
      root.setPointerCapture(event.pointerId);
      pick(event);
    });
    root.addEventListener("pointermove", (event) => {
      if (event.buttons) pick(event);
    });
  }
  const spots = svg("g");
  root.append(spots);
  return {
    root,
    draw(lines) {
      curves.replaceChildren(
        ...lines.map(({ role, points }) =>
          svg("path", {
            class: `mp-curve mp-${role}`,
            d: points
              .map(([a, b], i) => `${i ? "L" : "M"}${px(a).toFixed(1)},${py(b).toFixed(1)}`)
              .join(""),
          }),
        ),
      );
    },
    dots(list) {
      spots.replaceChildren(
        ...list.map(({ role, at: [a, b] }) =>
          svg("circle", { class: `mp-dot mp-${role}`, cx: px(a), cy: py(b), r: 5 }),
        ),
      );
    },
    mark(value) {
      root.append(marker);
      marker.setAttribute("x1", px(value));
      marker.setAttribute("x2", px(value));
    },
  };
}
