// --- arithmetic: what tqdm does, batch by batch, since each takes 0.1 s or more ---

const TOTAL = 300;

// How many seconds each batch of a run takes.
export function durations(run) {
  return Array.from({ length: TOTAL }, (_, i) => {
    if (run === "slow start") return i < 60 ? 2 : 0.5;
    if (run === "one stall") return i === 99 ? 60 : 0.65;
    return i % 8 === 7 ? 3.8 : 0.2;
  });
}

// tqdm's EMA of a list: each value, after it was taken in. At 0 nothing is taken in.
export function ema(values, smoothing) {
  let [last, weight] = [0, 1];
  return values.map((value) => {
    last = smoothing * value + (1 - smoothing) * last;
    weight *= 1 - smoothing;
    return last / (1 - weight);
  });
}

// After each batch: seconds so far, batches per second, seconds left by the bar, and the truth.
export function follow_run(seconds, smoothing) {
  const all = seconds.reduce((total, s) => total + s, 0);
  const smooth = smoothing > 0 ? ema(seconds, smoothing) : null;
  let elapsed = 0;
  return seconds.map((s, i) => {
    elapsed += s;
    const rate = smooth ? 1 / smooth[i] : (i + 1) / elapsed;
    return {
      n: i + 1,
      elapsed,
      rate,
      eta: (seconds.length - i - 1) / rate,
      truth: Math.max(all - elapsed, 0),
    };
  });
}

// By how many seconds the bar is wrong, on average over the run.
export function meanError(rows) {
  return rows.reduce((sum, { eta, truth }) => sum + Math.abs(eta - truth), 0) / rows.length;
}

// Two decimals as Python rounds them: a tie, such as 1.625, to the even digit.
function decimals(v) {
  const [down, tie] = [Math.floor(v * 100), Number.isInteger(v * 8) && (v * 100) % 1 === 0.5];
  return (tie ? (down + (down % 2)) / 100 : v).toFixed(2);
}

const two = (v) => String(v).padStart(2, "0");

// Seconds as tqdm writes them.
export function interval(seconds) {
  const whole = Math.trunc(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h ? `${h}:${two(m)}:${two(s)}` : `${two(m)}:${two(s)}`;
}

// The bar as tqdm draws it, in ASCII, ten places wide.
export function meter({ n, elapsed, rate, eta }, total) {
  const share = n / total;
  const tenths = Math.floor(share * 10 * 10);
  const rest =
    tenths < 100 ? " 123456789"[tenths % 10] + " ".repeat(9 - Math.floor(tenths / 10)) : "";
  const speed =
    rate < 1 ? `${decimals(1 / rate).padStart(5)}s/it` : `${decimals(rate).padStart(5)}it/s`;
  const percent = (share * 100).toFixed(0).padStart(3);
  const bar = "#".repeat(Math.floor(tenths / 10)) + rest;
  const times = `${interval(elapsed)}<${interval(eta)}`;
  return `${percent}%|${bar}| ${n}/${total} [${times}, ${speed}]`;
}

// --- the page ---

const LOOK = { "slow start": 90, "one stall": 100, "every eighth": 160 };
const RUNS = [
  ["slow start", "slow start: 60 batches of 2 s, then 0.5 s"],
  ["one stall", "one stall: 0.65 s each, batch 100 takes 60 s"],
  ["every eighth", "every eighth slow: 0.2 s, and 3.8 s"],
];

function render({ model, el: host }) {
  const run = choice("Run", RUNS, (name) => {
    model.set("batch", LOOK[name]);
    update(model, "run", name);
  });
  const smoothing = slider("smoothing", { min: 0, max: 1, step: 0.05 }, (v) =>
    update(model, "smoothing", v),
  );
  const batch = slider("after batch", { min: 1, max: TOTAL - 1, step: 1 }, (v) =>
    update(model, "batch", Math.round(v)),
  );
  const bar = el("code", { class: "eta-bar" });
  const news = el("p", { "aria-live": "polite" });
  const whole = el("p");
  const axes = plot({
    title: "minutes to go",
    x: [0, TOTAL],
    y: [0, 10],
    xTicks: [0, 100, 200, 300],
    yTicks: [0, 2, 4, 6, 8, 10],
    xLabel: "batches done",
  });
  const key = (role, text) => el("p", {}, el("span", { class: `mp-key mp-${role}` }), text);

  function paint() {
    const [name, alpha, n] = ["run", "smoothing", "batch"].map((trait) => model.get(trait));
    const rows = follow_run(durations(name), alpha);
    const { eta, truth } = rows[n - 1];
    run.set(name);
    smoothing.set(alpha);
    batch.set(n);
    bar.textContent = meter(rows[n - 1], TOTAL);
    const unknown = name === "one stall" && n < 100; // no bar can know what is to come
    news.textContent =
      `The bar says ${interval(eta)} to go; it will be ${interval(truth)}` +
      (unknown
        ? ", with the stall that is still to come."
        : `: its figure is ${format(eta / truth, 1)} times the truth.`);
    const wrong = [rows, follow_run(durations(name), 0)].map((run) => format(meanError(run), 0));
    whole.textContent =
      `Mean over the run: wrong by ${wrong[0]} s` +
      (alpha ? `; with smoothing 0 by ${wrong[1]} s.` : ".");
    const line = (key) => rows.map((row) => [row.n, row[key] / 60]);
    axes.draw([
      { role: "correct", points: line("truth") },
      { role: "pitfall", points: line("eta") },
    ]);
    axes.mark(n);
  }
  host.append(
    el(
      "div",
      { class: "mp eta", role: "group", "aria-label": "ETA explorer" },
      controls(run.root, smoothing.root, batch.root),
      el("div", { class: "eta-frame" }, bar),
      news,
      el(
        "div",
        { class: "mp-figure" },
        el("div", {}, axes.root),
        el(
          "div",
          {},
          key("correct", "the truth"),
          key("pitfall", "what the bar says; it may leave the chart"),
          whole,
          el(
            "p",
            { class: "mp-soft" },
            "smoothing 0 is the mean of the whole run, 1 the last batch alone, 0.3 tqdm's default.",
          ),
        ),
      ),
    ),
  );
  return follow(model, ["run", "smoothing", "batch"], paint);
}

export default { render };
