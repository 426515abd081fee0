// --- arithmetic: a part of a file is [start, end, what it is, role, its first bytes in hex] ---

// Rows of eight bytes: where they stand, in hex, and as text with a dot for the rest.
export function hexRows(hex, start) {
  const bytes = hex.match(/../g) ?? [];
  return Array.from({ length: Math.ceil(bytes.length / 8) }, (_, row) => {
    const some = bytes.slice(8 * row, 8 * row + 8);
    const text = some.map((byte) => {
      const code = parseInt(byte, 16);
      return code >= 32 && code < 127 ? String.fromCharCode(code) : "·";
    });
    return [start + 8 * row, some.join(" "), text.join("")];
  });
}

// How many bytes of a file have a role.
export function bytesOf(parts, role) {
  return parts
    .filter((part) => part[3] === role)
    .reduce((total, [start, end]) => total + end - start, 0);
}

// Whether a file with the chosen objects can be opened safely, and what stands against it.
export function verdict(format, chosen, refused, held) {
  const against =
    format === "safetensors"
      ? chosen.filter((name) => !held.includes(name))
      : refused.filter(([name]) => chosen.includes(name)).flatMap(([, names]) => names);
  return [against.length === 0, [...new Set(against)].sort()];
}

// --- the page ---

const START = { format: "zip", region: 0, chosen: ["model.state_dict()"] };
const ROLES = {
  program: ["pitfall", "▲ program"],
  numbers: ["correct", "● numbers"],
  frame: ["reference", "○ frame"],
};
const NAMES = {
  zip: "zip, torch.save since 1.6",
  legacy: "legacy, before 1.6",
  safetensors: "safetensors",
};

function strip(parts, chosen, onpick) {
  const [width, size] = [340, parts[parts.length - 1][1]];
  const px = (offset) => (offset / size) * width;
  const boxes = parts.map(([start, end, , role], i) =>
    svg("rect", {
      class: `ckpt-${role}${i === chosen ? " ckpt-chosen" : ""}`,
      x: px(start),
      y: role === "program" ? 4 : role === "numbers" ? 10 : 18,
      width: Math.max(px(end) - px(start), 2),
      height: role === "program" ? 40 : role === "numbers" ? 34 : 26,
      onclick: () => onpick(i),
    }),
  );
  const [start, end] = parts[chosen];
  return svg(
    "svg",
    { class: "ckpt-strip", viewBox: `0 0 ${width} 62`, "aria-hidden": "true", focusable: "false" },
    ...boxes,
    svg("path", { class: "ckpt-pointer", d: `M${px((start + end) / 2)},47l5,9h-10z` }),
  );
}

function render({ model, el: host }) {
  const parts = () => model.get("files")[model.get("format")];
  const pick = (i) => update(model, "region", i);
  const format = choice("Format", Object.entries(NAMES), (v) => {
    model.set("region", 0);
    update(model, "format", v);
  });
  const slide = slider("Part", { min: 1, max: 1, step: 1 }, (v) => {
    if (Number.isInteger(v)) pick(v - 1);
  });
  const [picture, title, place, dump, counts] = [
    el("div"),
    el("strong"),
    el("span"),
    el("pre", { tabindex: "0", "aria-label": "bytes of this part" }),
    el("p", { class: "mp-soft" }),
  ];
  const boxes = model.get("refused").map(([name]) => {
    const input = el("input", {
      type: "checkbox",
      onchange: () => {
        const others = model.get("chosen").filter((other) => other !== name);
        update(model, "chosen", input.checked ? [...others, name] : others);
      },
    });
    return { name, input, label: el("label", {}, input, el("span", {}, ...breakable(name))) };
  });
  const answer = el("p", { class: "ckpt-answer", "aria-live": "polite" });
  const reset = resetButton(model, START);

  function paint() {
    const [all, name] = [parts(), model.get("format")];
    const chosen = Math.min(model.get("region"), all.length - 1);
    const [start, end, what, role, hex] = all[chosen];
    format.set(name);
    slide.limit(1, all.length);
    slide.set(chosen + 1);
    picture.replaceChildren(strip(all, chosen, pick));
    title.textContent = `${ROLES[role][1]}: ${what}`;
    title.className = `mp-${ROLES[role][0]}`;
    place.textContent = ` Part ${chosen + 1} of ${all.length}, bytes ${start} to ${end - 1}.`;
    const rows = hexRows(hex, start).map(
      ([at, bytes, text]) => `${String(at).padStart(4)}  ${bytes.padEnd(23)}  ${text}`,
    );
    dump.textContent =
      rows.join("\n") +
      (end - start > hex.length / 2 ? `\n      … ${end - start - hex.length / 2} more bytes` : "");
    counts.textContent = Object.entries(ROLES)
      .map(([key, [, word]]) => `${word} ${bytesOf(all, key)} bytes`)
      .join(" · ");
    for (const box of boxes) box.input.checked = model.get("chosen").includes(box.name);
    const [fine, against] = verdict(
      name,
      model.get("chosen"),
      model.get("refused"),
      model.get("held"),
    );
    const no =
      name === "safetensors" ? "✗ safetensors holds tensors only, not: " : "✗ torch.load refuses: ";
    const yes = name === "safetensors" ? "✓ safetensors holds it." : "✓ torch.load opens it.";
    answer.textContent = fine ? yes : no + against.join(", ");
    answer.className = `ckpt-answer ckpt-${fine ? "yes" : "no"}`;
  }
  host.append(
    el(
      "div",
      { class: "mp ckpt", role: "group", "aria-label": "Checkpoint explorer" },
      controls(el("div", { class: "mp-row" }, format.root, reset)),
      picture,
      slide.root,
      el("p", { class: "ckpt-title", "aria-live": "polite" }, title, place),
      dump,
      counts,
      el("hr"),
      el(
        "fieldset",
        { class: "ckpt-objects" },
        el("legend", {}, "Put in"),
        ...boxes.map((box) => box.label),
      ),
      answer,
    ),
  );
  return follow(model, ["format", "region", "chosen", "files", "refused", "held"], paint);
}

export default { render };
