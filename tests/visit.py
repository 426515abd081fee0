"""A page of the book, opened in the browser, with what went wrong on the way."""

from __future__ import annotations

import gzip

import contents
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

PAGES = [f"{file}.html" for file in [*contents.pages(), "search", "genindex"]]

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 400, "height": 800}
READY = """() => document.readyState === "complete" &&
  [...document.querySelectorAll(".mp-view")].every((v) => "ready" in v.dataset)"""


class Visit:
    """An open page. Its widgets are drawn."""

    def __init__(
        self, chromium: Browser, address: str, name: str, viewport=WIDE, scheme="light"
    ):
        self.page = chromium.new_page(viewport=viewport, color_scheme=scheme)
        self.errors, self.responses = [], []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("requestfailed", lambda r: self.errors.append(f"failed: {r.url}"))
        self.page.on("request", lambda r: self._request(r.url, address))
        self.page.on("response", self._response)
        self.page.goto(address + name)
        self.page.wait_for_function(READY)

    def _console(self, message):
        if message.type in ("error", "warning"):
            self.errors.append(f"{message.type}: {message.text}")

    def _request(self, url, address):
        if not url.startswith((address, "blob:", "data:")):
            self.errors.append(f"asked another host: {url}")

    def _response(self, response):
        if response.status >= 400:
            self.errors.append(f"{response.status}: {response.url}")
        elif response.url.startswith("http"):
            self.responses.append(response)

    def kilobytes(self) -> float:
        """What has come over the wire, compressed as a server would, without figures."""
        texts = [r.body() for r in self.responses if "/_images/" not in r.url]
        return sum(len(gzip.compress(body)) for body in texts) / 1e3


# The two rules of axe-core that compare colours need most of its time.
COLOURS = ["color-contrast", "link-in-text-block"]


def violations(page: Page, **options: object) -> list[tuple]:
    """Return the rules of axe-core that a page breaks, and where; all but the colours'."""
    options = options or {"rules": {rule: {"enabled": False} for rule in COLOURS}}
    if page.evaluate("!window.axe"):
        page.evaluate(Axe().axe_script)
    options = {"resultTypes": ["violations"], **options}
    found = page.evaluate("(options) => axe.run(options)", options)
    targets = [(v["id"], v["nodes"]) for v in found["violations"]]
    return [(rule, [node["target"] for node in nodes]) for rule, nodes in targets]


# A text's contrast follows from its own font and colour, from the text around it, and
# from what its ancestors paint. Of the thousands of texts on a page, under a hundred look
# different. The first of each look stays, with all that it stands in. The others are taken
# out for a while: axe-core walks through what is only hidden.
HIDE_ALIKE = """(known) => {
  const looks = new Map([[document.documentElement, ["", "", ""]]]);
  const look = (element) => {
    if (!looks.has(element)) {
      const s = getComputedStyle(element);
      const own = [s.backgroundColor, s.backgroundImage, s.opacity].join();
      const [behind, , around] = look(element.parentElement);
      const paints = own === "rgba(0, 0, 0, 0),none,1" ? behind : `${behind} > ${own}`;
      const text = [s.color, s.fontSize, s.fontWeight, s.textShadow, around].join();
      looks.set(element, [paints, `${paints} | ${text}`, s.color]);
    }
    return looks.get(element);
  };
  const says = (e) => !e.children.length ||
    [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim());
  const seen = new Set(known), shown = new Set();
  const all = [...document.querySelectorAll("body *")];
  for (const element of all) {
    if (!says(element) || !element.checkVisibility() || seen.has(look(element)[1])) continue;
    seen.add(look(element)[1]);
    for (let e = element; e; e = e.parentElement) shown.add(e);
  }
  window.alike = all.filter((e) => !shown.has(e) && shown.has(e.parentElement))
    .map((e) => [e, [...e.childNodes]]);
  for (const [e] of window.alike) {
    e.setAttribute("data-alike", "");
    e.replaceChildren();
  }
  return [...seen].slice(known.length);
}"""
SHOW_ALIKE = """(style) => {
  style.remove();
  for (const [e, inside] of window.alike) {
    e.removeAttribute("data-alike");
    e.append(...inside);
  }
}"""


def without_contrast(page: Page, known: list[str] | None = None) -> list[tuple]:
    """Return the texts of too little contrast, one of each look.

    axe-core needs seconds for thousands of texts, so those that look like an earlier one
    are not shown to it.

    Args:
        page: an open page.
        known: looks of other pages, which were asked about; those of this one are added.
    """
    known = [] if known is None else known
    new = page.evaluate(HIDE_ALIKE, known)
    known += new
    style = page.add_style_tag(content="[data-alike] { display: none !important; }")
    found = violations(page, runOnly=COLOURS) if new else []
    style.evaluate(SHOW_ALIKE)
    return found


TOO_WIDE = """() => {
  const { clientWidth: width, scrollWidth } = document.documentElement;
  if (scrollWidth <= width) return [];
  const end = (e) => Math.round(e.getBoundingClientRect().right);
  const scrolls = (e) => getComputedStyle(e).overflowX !== "visible";
  const isCutOff = (e) => e && (scrolls(e) || isCutOff(e.parentElement));
  const name = (e) => [e.localName, ...e.classList].join(".");
  const path = (e, n) =>
    n && e.parentElement ? `${path(e.parentElement, n - 1)} > ${name(e)}` : name(e);
  const guilty = [...document.querySelectorAll("body *")].filter((e) =>
    end(e) > width && ![...e.children].some((c) => end(c) > width) && !isCutOff(e.parentElement));
  return [`the page is ${scrollWidth} px wide on a screen of ${width} px`,
    ...guilty.sort((a, b) => end(b) - end(a)).slice(0, 3).map((e) =>
      `${path(e, 4)} ends at ${end(e)} px: ${e.textContent.trim().slice(0, 40)}`)];
}"""


def too_wide(page: Page) -> list[str]:
    """Return by how much a page is wider than the screen, and which elements make it so."""
    return page.evaluate(TOO_WIDE)


def report(name: str, found: list, cure: str) -> str:
    """Return the message of a failed test: the page, what was found, what to do."""
    return "\n  ".join([f"{name}:", *map(str, found), cure])


NARROWER = (
    "Let it wrap or shrink (flex-wrap, max-width: 100%, a table with fewer columns), or "
    "put it into a box with overflow-x: auto."
)
SOUND = "Open the page with `make book` and look at the browser's console (F12)."
ACCESSIBLE = (
    "Each line holds axe-core's rule and the elements that break it; search for the "
    "rule's name at https://dequeuniversity.com/rules/axe."
)
