// The field of the symptom page: reads what is pasted, and shows the rows of the page's own
// tables that fit. Needs no server. Not a module: browsers refuse those on a page opened from
// a folder.

(() => {
  const LONGEST = 40_000;
  const MOST = 3;
  const ERROR = /^(?:[\w.]+\.)?\w*(?:Error|Exception|Warning|Interrupt)\b\s*(?::|$)/;
  const INLINE_ERROR =
    /\b\w*(?:Error|Exception|Warning):|\bTraceback\b|^\s*(?:fatal|error|warning)\b/im;
  // A line of code that holds the template of a message, not the message.
  const CODE = /^\s*(?:-+>\s*)?\d*\s*(?:raise|warnings\.warn|def|if|elif|return|assert)\b/;

  /** Strip what differs from reader to reader: colours, frames, curly quotes, backticks. */
  function clean(text) {
    return text
      .slice(-LONGEST)
      .replace(/\u001b\[[0-9;?]*[A-Za-z]|\[(?:\d{1,2};)*\d{1,2}m/g, "")
      .replace(/[\u2018\u2019]/g, "'")
      .replace(/[\u201c\u201d]/g, '"')
      .replace(/\r\n?/g, "\n")
      .replace(/[│╭╰╮╯─❱]+/g, " ")
      .replace(/`/g, "")
      .split("\n")
      .map((line) => line.trim().replace(/\s+/g, " "))
      .filter((line) => line && !/^File "[^"]*", line \d+(?:, in \S+)?$/.test(line))
      .join("\n");
  }

  /** Where the last error begins: it weighs most, for the others led to it. */
  function lastError(text) {
    let at = -1;
    let offset = 0;
    for (const line of text.split("\n")) {
      if (ERROR.test(line)) at = offset;
      offset += line.length + 1;
    }
    return at;
  }

  function weight(text, index, last) {
    const start = text.lastIndexOf("\n", index - 1) + 1;
    const end = text.indexOf("\n", index);
    const line = text.slice(start, end < 0 ? undefined : end);
    if (CODE.test(line)) return 1;
    if (last >= 0 && index >= last) return 4;
    return ERROR.test(line) || last < 0 ? 3 : 2;
  }

  const compiled = new Map();
  function pattern(source) {
    if (!compiled.has(source)) {
      compiled.set(source, new RegExp(source.replaceAll(" ", "\\s+"), "gims"));
    }
    return compiled.get(source);
  }

  /** How well a row's patterns fit: the place of the best match, then its length. */
  function fit(row, text, last) {
    let best = 0;
    for (const source of row.match ?? []) {
      for (const match of text.matchAll(pattern(source))) {
        const length = Math.min(match[0].length, 200) / 1000;
        best = Math.max(best, weight(text, match.index, last) + length);
      }
    }
    return best && best + (row.special ? 0.5 : 0);
  }

  const STOP = new Set(
    `a about after all also am an and any are as at be been but by can could did do does doing for
    from get gets getting got had has have having he help here how i if in into is it its just like
    me my no not of on one only or other our please problem question so some than that the their
    them then there these they this to trying try up use used using was we were what when where
    which while why will with would you your even give gives given make makes many much need needs
    really seem seems should still thank thanks very want wants always before know`.split(/\s+/),
  );

  /** A text's words without endings, so that "losses" finds "loss". */
  function words(text) {
    const found = text.toLowerCase().match(/[a-z][a-z0-9_]+|\d+\.\d+/g) ?? [];
    return found
      .flatMap((word) => (word.includes("_") ? [word, ...word.split("_")] : [word]))
      .filter((word) => word.length > 1 && !STOP.has(word))
      .map((word) => word.replace(/(?<=\w{3})(?:ings?|ed|es|s|ly|e)$/, ""));
  }

  /** Count in how many rows each word occurs. */
  function index(rows) {
    const counts = new Map();
    for (const row of rows) {
      row.bag = new Set([...words(row.words ?? ""), ...words(row.see ?? "")]);
      row.rest = new Set(words(row.text ?? ""));
      for (const word of new Set([...row.bag, ...row.rest])) {
        counts.set(word, (counts.get(word) ?? 0) + 1);
      }
    }
    const rarity = (word) => Math.log((rows.length + 1) / ((counts.get(word) ?? 0) + 0.5));
    return { counts, rarity };
  }

  /** How much of the rare words of a sentence a row has, from 0 to 1, and their sum. */
  function likeness(row, asked, { counts, rarity }) {
    let total = 0;
    let shared = 0;
    let own = 0; // words of what is seen, not of a cause or a cure
    for (const word of asked) {
      const rare = rarity(word);
      total += counts.has(word) ? rare : rare / 2;
      own += row.bag.has(word);
      if (row.bag.has(word)) shared += rare;
      else if (row.rest.has(word)) shared += rare / 2;
    }
    return { share: total ? shared / total : 0, shared, own };
  }

  // What a sentence, or a message in an unknown wording, must share with a row.
  const SENTENCE = { shared: 4.5, share: 0.3, own: 2 };
  const MESSAGE = { shared: 11, share: 0.62, own: 0 };
  const ALIKE = 0.7; // of the best row's score
  const WORD = { shared: 1, share: 0.9, own: 1 };

  /** Return the rows that fit a text best, at most three, and whether by words alone. */
  function nearest(text, rows, known = index(rows)) {
    const plain = clean(text);
    const last = lastError(plain);
    const isMessage = last >= 0 || INLINE_ERROR.test(plain) || words(plain).length > 120;
    const scored = rows.map((row) => {
      const score = 10 * fit(row, plain, last);
      return { row, score, byWords: score === 0 };
    });
    const isKnown = scored.some((each) => each.score > 0);
    if (!isMessage || !isKnown) {
      const line = plain.slice(Math.max(last, 0)).split("\n", 1)[0];
      const asked = new Set(words(isMessage ? line : plain));
      const least = isMessage ? MESSAGE : asked.size > 2 ? SENTENCE : WORD;
      for (const each of scored) {
        const { share, shared, own } = likeness(each.row, asked, known);
        const isAlike = shared >= least.shared && share >= least.share && own >= least.own;
        if (isAlike) each.score += 10 * share + shared;
      }
    }
    scored.sort((a, b) => b.score - a.score);
    // Of a behaviour, what fits far worse than the best is noise.
    const floor = isMessage ? 0 : ALIKE * scored[0].score;
    const found = scored.filter((each) => each.score > floor);
    return found.slice(0, MOST);
  }

  const rank = (...args) => nearest(...args).map((each) => each.row.id);

  const data = globalThis.troubleRows;
  const rows = Object.entries(data).map(([id, row]) => ({ id, ...row }));

  // --- the page ------------------------------------------------------------------------

  const field = document.getElementById("trouble-paste");
  if (!field) {
    globalThis.trouble = { rank: (text) => rank(text, rows).map((id) => data[id]) };
    return;
  }
  const place = Object.fromEntries(
    ["count", "answers", "none"].map((name) => [name, document.getElementById(`trouble-${name}`)]),
  );
  for (const row of rows) {
    const [seen, causes] = document.getElementById(`symptom-${row.id}`).cells;
    const said = seen.cloneNode(true);
    for (const version of said.querySelectorAll(".mp-from")) version.remove();
    Object.assign(row, { see: said.textContent, text: causes.textContent });
  }
  const known = index(rows);

  /** Of the wordings of a row, the one that shares most of its words with what was pasted. */
  function wording(seen, text) {
    const asked = new Set(words(clean(text)));
    const share = (each) => {
      const own = words(each.textContent);
      return own.filter((word) => asked.has(word)).length / (own.length || 1);
    };
    return [...seen.children].reduce((best, each) => (share(each) > share(best) ? each : best));
  }

  function answer({ row: { id }, byWords }, text) {
    const [seen, causes] = document.getElementById(`symptom-${id}`).cells;
    const box = document.createElement("section");
    box.classList.toggle("mp-perhaps", byWords);
    const title = document.createElement("div");
    title.className = "mp-seen";
    title.append(wording(seen, text).cloneNode(true));
    const here = document.createElement("p");
    here.className = "mp-more";
    here.innerHTML = `<a href="#symptom-${id}">This row in its table</a>`;
    box.append(title, ...[...causes.children].map((each) => each.cloneNode(true)));
    if (!causes.querySelector("p:not(.mp-more) a")) box.append(here);
    return box;
  }

  function show() {
    const text = field.value;
    const found = text.trim() ? nearest(text, rows, known) : [];
    place.answers.replaceChildren(...found.map((each) => answer(each, text)));
    const answers = found.length === 1 ? "1 answer" : `${found.length} answers`;
    // A sentence shares words with rows on other troubles, too.
    const perhaps = found.every((each) => each.byWords);
    const said =
      perhaps && found.length ? `${answers}. Only the words match: is it yours?` : answers;
    place.count.textContent = text.trim() ? said : "";
    place.none.hidden = !perhaps || !text.trim();
    place.none.firstElementChild.textContent = found.length
      ? "Not yours?"
      : "This book has no answer to that.";
  }

  function share() {
    const text = field.value.slice(-3000);
    const hash = text.trim() ? `#q=${encodeURIComponent(text)}` : location.pathname;
    history.replaceState(null, "", hash);
  }

  function fromAddress() {
    const text = new URLSearchParams(location.hash.slice(1)).get("q");
    if (text === null || text === field.value) return;
    field.value = text;
    show();
  }

  field.addEventListener("input", () => {
    show();
    share();
  });
  addEventListener("hashchange", fromAddress);
  fromAddress();

  rank("the first one compiles the patterns", rows, known);
  globalThis.trouble = { clean, rank: (text) => rank(text, rows, known) };
})();
