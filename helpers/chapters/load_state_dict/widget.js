// --- arithmetic: entries are pairs of a key and a shape, in the order of the dict ---

export const MODEL = [
  ["submodule.weight", [32, 64]],
  ["submodule.bias", [32]],
  ["hidden.weight", [16, 32]],
  ["hidden.bias", [16]],
  ["head.weight", [10, 16]],
  ["head.bias", [10]],
];
const WRAPPERS = ["module.", "_orig_mod."];

// What training left behind: a prefix before each key, perhaps another last layer.
export function saved(prefix, head) {
  return MODEL.map(([key, shape]) => {
    const last = key.startsWith("head.");
    const name = last && head === "fc" ? key.replace("head.", "fc.") : key;
    return [prefix + name, last && head === "5 classes" ? [5, ...shape.slice(1)] : shape];
  });
}

// The same as Python's str.replace, str.removeprefix, and a loop over both prefixes.
export function repairedKey(key, repair, rename) {
  let name = key;
  if (repair === "replace") name = name.split("module.").join("");
  if (repair === "removeprefix" && name.startsWith("module.")) name = name.slice(7);
  while (repair === "loop" && WRAPPERS.some((w) => name.startsWith(w)))
    name = name.slice(name.indexOf(".") + 1);
  return rename && name.startsWith("fc.") ? `head.${name.slice(3)}` : name;
}

// A dict comprehension: of two entries under one key the last one stays.
export function repaired(entries, repair, rename) {
  return [...new Map(entries.map(([key, shape]) => [repairedKey(key, repair, rename), shape]))];
}

export const numbers = (shape) => shape.reduce((product, size) => product * size, 1);

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
  loaded: "✓ loaded",
  clash: "✗ shape",
  missing: "○ missing",
  unexpected: "? unexpected",
};
const ROLES = { loaded: "correct", clash: "pitfall", missing: "pitfall", unexpected: "reference" };
const ROWS = MODEL.length; // on both sides: no repair here lets two keys become one

function column(title, entries, statusOf) {
  return el(
    "div",
    {},
    el("p", { class: "mp-soft" }, title),
    el(
      "ul",
      {},
      ...entries.map(([key, shape]) => {
        const status = statusOf(key);
        return el(
          "li",
          { class: `key-${status}` },
          el("code", {}, ...breakable(key)),
          el(
            "span",
            {},
            `(${shape.join(", ")}${shape.length === 1 ? "," : ""}) `,
            el("strong", { class: `mp-${ROLES[status]}` }, SIGNS[status]),
          ),
        );
      }),
    ),
  );
}

function edges(given, found) {
  const at = (entries, key) => entries.findIndex(([name]) => name === key) + 0.5;
  const lines = [
    ["loaded", "correct"],
    ["clash", "pitfall"],
  ].flatMap(([status, role]) =>
    found[status].map((key) =>
      svg("path", { class: `mp-curve mp-${role}`, d: `M0,${at(given, key)}L1,${at(MODEL, key)}` }),
    ),
  );
  return svg(
    "svg",
    {
      viewBox: `0 0 1 ${ROWS}`,
      preserveAspectRatio: "none",
      "aria-hidden": "true",
      focusable: "false",
    },
    ...lines,
  );
}

function sentence(found) {
  const counts = `${found.missing.length} missing, ${found.unexpected.length} unexpected`;
  const perfect = !found.missing.length && !found.unexpected.length && !found.clash.length;
  if (perfect) return ["correct", "✓ Returns <All keys matched successfully>."];
  if (!found.raises) return ["pitfall", `✗ Raises nothing; only its return value says: ${counts}.`];
  const before = found.overwritten ? "By then the model is a mixture." : "The model is as it was.";
  return [
    "pitfall",
    `✗ Raises RuntimeError: ${counts}, ${found.clash.length} of another shape. ${before}`,
  ];
}

function render({ model, el: host }) {
  const pick = (legend, name, options) =>
    choice(legend, options, (value) => update(model, name, value));
  const settings = {
    prefix: pick("Saved with prefix", "prefix", [
      ["", "none"],
      ["module.", "module."],
      ["_orig_mod.", "_orig_mod."],
      ["module._orig_mod.", "module._orig_mod."],
    ]),
    head: pick("Last layer", "head", [
      ["head", "head"],
      ["fc", "called fc"],
      ["5 classes", "5 classes"],
    ]),
    repair: pick("Repair", "repair", [
      ["none", "none"],
      ["replace", 'replace("module.", "")'],
      ["removeprefix", 'removeprefix("module.")'],
      ["loop", "both prefixes, in a loop"],
    ]),
    rename: pick("fc. becomes head.", "rename", [
      [false, "no"],
      [true, "yes"],
    ]),
    strict: pick("strict", "strict", [
      [true, "True"],
      [false, "False"],
    ]),
  };
  const [columns, news, total] = [
    el("div", { class: "key-columns" }),
    el("p", { "aria-live": "polite" }),
    el("p"),
  ];
  const meter = el("meter", {
    min: 0,
    max: 1,
    "aria-label": "share of the model's numbers loaded",
  });

  function paint() {
    const [prefix, head, repair, rename, strict] = [
      "prefix",
      "head",
      "repair",
      "rename",
      "strict",
    ].map((name) => model.get(name));
    for (const [name, control] of Object.entries(settings)) control.set(model.get(name));
    const given = repaired(saved(prefix, head), repair, rename);
    const found = match(MODEL, given, strict);
    const statusOf = (key) =>
      ["loaded", "clash", "missing"].find((status) => found[status].includes(key)) ?? "unexpected";
    columns.replaceChildren(
      column("State dict", given, statusOf),
      edges(given, found),
      column("Model", MODEL, statusOf),
    );
    const [role, text] = sentence(found);
    news.replaceChildren(el("strong", { class: `mp-${role}` }, text));
    meter.value = found.overwritten / found.total;
    const [set, all] = [found.overwritten, found.total].map((n) => n.toLocaleString("en"));
    total.textContent = `Overwritten: ${set} of ${all} numbers, ${format(100 * meter.value, 1)}%`;
  }
  host.append(
    el(
      "div",
      { class: "mp keys", role: "group", "aria-label": "Key matcher" },
      controls(...Object.values(settings).map((control) => control.root)),
      columns,
      total,
      meter,
      news,
    ),
  );
  return follow(model, Object.keys(settings), paint);
}

export default { render };
