// The book's search finds a page that lacks a word of the query, weighs headings and rare words
// most, and leads to the heading. Sphinx itself drops each page that lacks any of the words.
// What is known of a message or a behaviour stands before the pages.

(() => {
  const HEADING = 4; // how much more a word weighs in a heading than in prose
  const ABOUT = /fact_check|versions/; // of the book itself: seldom what is looked for
  const WEAK = 0.25; // of the best page's score: what has less of it is left out
  const stemmer = new Stemmer();
  const stems = (text) => splitQuery(text.toLowerCase()).map((word) => stemmer.stemWord(word));
  const byWord = Search.performTermsSearch;

  /** Return the pages of each word, and how rare it is. */
  function found(words, excluded) {
    const pages = Search._index.docnames.length;
    return [...words].map((word) => {
      const results = byWord(new Set([word]), excluded);
      return { word, results, rarity: Math.log((pages + 1) / (results.length + 0.5)) };
    });
  }

  /** Sum how rare those of the words are that a title holds. */
  function weight(title, words) {
    const held = new Set(stems(title));
    return words.reduce((sum, { word, rarity }) => sum + (held.has(word) ? rarity : 0), 0);
  }

  /** Return the heading of each page that has the most of the rare words. */
  function headings(words) {
    const best = new Map();
    for (const [title, places] of Object.entries(Search._index.alltitles)) {
      const score = weight(title, words);
      for (const [file, id] of places) {
        if (score > (best.get(file)?.score ?? 0)) best.set(file, { score, title, id });
      }
    }
    return best;
  }

  Search.performTermsSearch = (searchTerms, excluded) => {
    const words = found(searchTerms, excluded);
    const best = headings(words);
    const scored = new Map();
    for (const { results, rarity } of words) {
      for (const result of results) {
        const page = scored.get(result[0]) ?? [...result.slice(0, 4), 0, result[5]];
        page[4] += rarity;
        scored.set(result[0], page);
      }
    }
    for (const page of scored.values()) {
      page[4] += HEADING * weight(page[0].replace(/\W|_/g, " "), words); // its file's name
      if (ABOUT.test(page[0])) page[4] /= 3;
      const heading = best.get(Search._index.docnames.indexOf(page[0]));
      if (!heading) continue;
      page[4] += HEADING * (ABOUT.test(page[0]) ? heading.score / 3 : heading.score);
      if (heading.id) page.splice(1, 2, `${page[1]} > ${heading.title}`, `#${heading.id}`);
    }
    const sorted = [...scored.values()].sort((a, b) => b[4] - a[4]);
    return sorted.filter((page) => page[4] > WEAK * sorted[0][4]).slice(0, 8);
  };

  // The rows of the symptom page know messages and behaviours: what fits stands first.
  const query = new URLSearchParams(location.search).get("q") ?? "";
  if (!query.trim()) return;

  function link(href, text) {
    return Object.assign(document.createElement("a"), { href, textContent: text });
  }

  function answer({ at, see }) {
    const item = document.createElement("li");
    item.append(link(at, see));
    return item;
  }

  function showAnswers() {
    // A word or two name a subject, not yet what goes wrong.
    const found = query.trim().split(/\s+/).length > 2 ? trouble.rank(query) : [];
    const list = document.createElement("ul");
    list.className = "search";
    list.append(...found.map(answer));
    const page = `book/symptoms.html#q=${encodeURIComponent(query)}`;
    const place = document.getElementById("search-results");
    if (found.length) place.prepend(list, link(page, "All causes and cures"));
    else place.prepend(link(page, "Does something go wrong? Say what you see"));
  }

  const load = (name, onload) =>
    document.head.append(
      Object.assign(document.createElement("script"), { src: `_static/${name}`, onload }),
    );
  load("trouble-rows.js", () => load("trouble.js", showAnswers));
})();
