// --- arithmetic: entries are pairs of a key and a shape, in the order of the dict ---

export const MODEL = [
  ["submodule.weight", [32, 64]],
  ["submodule.bias", [32]],
  ["norm.weight", [32]],
  ["norm.bias", [32]],
  ["head.weight", [10, 32]],
  ["head.bias", [10]],
];
const PREFIXES = { module: "module.", both: "_orig_mod.module." };
const NESTED = [
  ["epoch", "a number"],
  ["model", "a dict"],
  ["optimizer", "a dict"],
];

// What a file holds: a prefix before each key, another last layer, or dicts in a dict.
export function saved(file) {
  if (file === "checkpoint") return NESTED;
  return MODEL.map(([key, shape]) => {
    const last = key.startsWith("head.");
    const name = file === "fc" ? key.replace(/^head\./, "fc.") : key;
    const size = file === "5 classes" && last ? [5, ...shape.slice(1)] : shape;
    return [(PREFIXES[file] ?? "") + name, size];
  });
}

// A key as pieces [text, was it taken out, was it put in].
export function pieces(key, place, word, by) {
  if (place === "nowhere" || (place === "anywhere" && word === "")) return [[key, false, false]];
  const swap = [
    [word, true, false],
    [by, false, true],
  ];
  if (place === "beginning")
    return key.startsWith(word)
      ? [...swap, [key.slice(word.length), false, false]]
      : [[key, false, false]];
  return key.split(word).flatMap((rest, i) => [...(i ? swap : []), [rest, false, false]]);
}

export function repairedKey(...rule) {
  return pieces(...rule)
    .filter(([, out]) => !out)
    .map(([text]) => text)
    .join("");
}

// A dict comprehension: of two entries under one key the last one stays.
export function repaired(entries, ...rule) {
  return [...new Map(entries.map(([key, shape]) => [repairedKey(key, ...rule), shape]))];
}

// PyTorch takes a list of one number for a scalar, as old files have it.
const fits = (ours, theirs) =>
  `${ours}` === `${theirs}` || (ours.length === 0 && `${theirs}` === "1");

// What load_state_dict does: which keys it loads, what it reports, whether it raises,
// and how many of the model's numbers are overwritten, whether it raises or not.
export function match(model, given, strict) {
  const [ours, theirs] = [new Map(model), new Map(given)];
  const common = [...ours.keys()].filter((key) => theirs.has(key));
  const clash = common.filter((key) => !fits(ours.get(key), theirs.get(key)));
  const loaded = common.filter((key) => !clash.includes(key));
  const missing = [...ours.keys()].filter((key) => !theirs.has(key));
  const unexpected = [...theirs.keys()].filter((key) => !ours.has(key));
  const numbers = (shape) => shape.reduce((product, size) => product * size, 1);
  const count = (keys) => keys.reduce((sum, key) => sum + numbers(ours.get(key)), 0);
  return {
    loaded,
    clash,
    missing,
    unexpected,
    overwritten: count(loaded),
    total: count([...ours.keys()]),
    raises: clash.length > 0 || (strict && missing.length + unexpected.length > 0),
  };
}

// --- the page ---

const SIGNS = {
  loaded: ["correct", "✓ loaded"],
  clash: ["pitfall", "✗ shape"],
  missing: ["pitfall", "○ missing"],
  unexpected: ["reference", "? unexpected"],
};

function entry(parts, shape, status) {
  const key = parts.flatMap(([text, out, put]) => [
    el("wbr"),
    el(out ? "del" : put ? "ins" : "span", {}, ...breakable(text)),
  ]);
  const [role, sign] = SIGNS[status] ?? ["soft", ""];
  const size = typeof shape === "string" ? shape : `(${shape.join(", ")}${shape[1] ? "" : ","})`;
  return el(
    "li",
    { class: `key-${status}` },
    el("code", {}, ...key),
    el("span", {}, `${size} `, el("strong", { class: `mp-${role}` }, sign)),
  );
}

function column(title, items) {
  return el("div", {}, el("p", { class: "mp-soft" }, title), el("ul", {}, ...items));
}

// A line from each key of the file to the key of the model that it finds.
function edges(keys, found) {
  const names = MODEL.map(([key]) => key);
  const lines = ["loaded", "clash"].flatMap((status) =>
    found[status].map((key) =>
      svg("path", {
        class: `mp-curve mp-${SIGNS[status][0]}`,
        d: `M0,${keys.lastIndexOf(key) + 0.5}L1,${names.indexOf(key) + 0.5}`,
      }),
    ),
  );
  const box = { viewBox: `0 0 1 ${MODEL.length}`, preserveAspectRatio: "none" };
  return svg("svg", { ...box, "aria-hidden": "true", focusable: "false" }, ...lines);
}

function outcome(found) {
  const counts = `${found.missing.length} missing, ${found.unexpected.length} unexpected`;
  const rest = found.missing.length + found.unexpected.length + found.clash.length;
  if (!rest) return ["correct", "✓ Returns <All keys matched successfully>."];
  if (!found.raises) return ["pitfall", `✗ Raises nothing; only what it returns says ${counts}.`];
  const state = found.loaded.length ? "now a mixture" : "as it was";
  return [
    "pitfall",
    `✗ RuntimeError: ${counts}, ${found.clash.length} shapes. The model is ${state}.`,
  ];
}

function render({ model, el: host }) {
  const change = (name, value) => {
    update(model, "guess", null); // another case, another guess
    update(model, name, value);
  };
  const pick = (legend, name, options, set = change) =>
    choice(legend, options, (value) => set(name, value));
  const text = (label, name) => {
    const input = el("input", {
      type: "text",
      "aria-label": label,
      autocomplete: "off",
      autocapitalize: "off",
      spellcheck: "false",
      maxlength: 20,
      oninput: () => change(name, input.value),
    });
    return {
      root: input,
      set(value) {
        if (input.value !== value) input.value = value;
      },
    };
  };
  const settings = {
    file: pick("The file", "file", [
      ["plain", "as the model"],
      ["module", "DataParallel"],
      ["both", "compiled DataParallel"],
      ["fc", "head called fc"],
      ["5 classes", "5 classes"],
      ["checkpoint", "whole checkpoint"],
    ]),
    place: pick("Repair its keys", "place", [
      ["nowhere", "not at all"],
      ["anywhere", "anywhere"],
      ["beginning", "at the beginning"],
    ]),
    word: text("Replace", "word"),
    by: text("by", "by"),
    strict: pick(
      "strict",
      "strict",
      [
        [true, "True"],
        [false, "False"],
      ],
      (name, value) => update(model, name, value),
    ),
    guess: choice(
      "Your guess",
      [0, 1, 2, 3, 4, 5, 6].map((n) => [n, `${n}`]),
      (value) => update(model, "guess", value),
    ),
  };
  const words = el(
    "div",
    { class: "key-words" },
    "replace",
    settings.word.root,
    "by",
    settings.by.root,
  );
  const columns = el("div", { class: "key-columns" });
  const [count, news] = [el("p", { "aria-live": "polite" }), el("p", { "aria-live": "polite" })];

  function paint() {
    for (const [name, control] of Object.entries(settings)) control.set(model.get(name));
    const [file, strict, guess] = ["file", "strict", "guess"].map((name) => model.get(name));
    const rule = ["place", "word", "by"].map((name) => model.get(name));
    const entries = saved(file);
    const keys = entries.map(([key]) => repairedKey(key, ...rule));
    const found = match(MODEL, repaired(entries, ...rule), strict);
    const hidden = guess === null;
    const statusOf = (key) =>
      hidden ? "hidden" : Object.keys(SIGNS).find((status) => found[status].includes(key));
    columns.replaceChildren(
      column(
        "In the file",
        entries.map(([key, shape], i) =>
          entry(hidden ? [[key]] : pieces(key, ...rule), shape, statusOf(keys[i])),
        ),
      ),
      edges(keys, hidden ? { loaded: [], clash: [] } : found),
      column(
        "In the model",
        MODEL.map(([key, shape]) => entry([[key]], shape, statusOf(key))),
      ),
    );
    if (hidden) {
      count.textContent = "How many of the model’s 6 entries does this set? Choose, and see.";
      news.textContent = "";
      return;
    }
    const bare = match(MODEL, entries, strict).loaded.length;
    const before = rule[0] === "nowhere" ? "" : `; without the repair ${bare} of 6`;
    const share = format((100 * found.overwritten) / found.total, 1);
    count.textContent =
      `Your guess: ${guess}. Set: ${found.loaded.length} of 6, ` +
      `${share}% of the numbers${before}.`;
    const [role, sentence] = outcome(found);
    news.replaceChildren(el("strong", { class: `mp-${role}` }, sentence));
  }
  const shown = [settings.file, settings.place].map((control) => control.root);
  host.append(
    el(
      "div",
      { class: "mp keys", role: "group", "aria-label": "Key matcher" },
      controls(...shown, words, settings.strict.root, settings.guess.root),
      columns,
      count,
      news,
    ),
  );
  return follow(model, Object.keys(settings), paint);
}

export default { render };
