// Starts the slides: everything fits, the widgets keep their keys, a clicker its own.

(() => {
  const ROOM = { width: 1184, height: 648 };
  const root = document.documentElement;

  // The largest zoom at which all of a slide has room; its text breaks anew for each.
  function fit(box) {
    for (let zoom = 1.25; zoom > 0.3; zoom -= 0.05) {
      box.style.zoom = zoom;
      box.style.width = `${ROOM.width / zoom}px`;
      const high = box.scrollHeight * zoom > ROOM.height;
      if (!high && box.scrollWidth <= box.clientWidth) return;
    }
  }

  function dark(on) {
    root.dataset.theme = on ? "dark" : "light";
  }

  const wish = matchMedia("(prefers-color-scheme: dark)");
  wish.addEventListener("change", () => dark(wish.matches));

  // A presenter's clicker sends these: they turn the slide, also from within a slider, and
  // leave out the code below it.
  function turn(event) {
    const go = { PageDown: Reveal.right, PageUp: Reveal.left }[event.key];
    if (!go) return;
    event.preventDefault();
    event.stopPropagation();
    if (document.activeElement.closest(".mp")) document.activeElement.blur();
    go();
  }
  document.addEventListener("keydown", turn, true);

  const boxes = [...document.querySelectorAll(".fit")];
  Reveal.initialize({
    width: 1280,
    height: 720,
    margin: 0,
    center: false,
    hash: true,
    slideNumber: "c/t",
    transition: "none",
    backgroundTransition: "none",
    pdfSeparateFragments: false,
    // All slides are laid out at once, so that each can be measured.
    viewDistance: 200,
    mobileViewDistance: 200,
    // Space presses a widget's button, and arrows move its slider.
    keyboardCondition: (event) => !event.target.closest?.(".mp"),
    plugins: [RevealNotes],
  }).then(() => {
    Reveal.addKeyBinding({ keyCode: 68, key: "D", description: "Dark or light" }, () =>
      dark(root.dataset.theme !== "dark"),
    );
    const later = new ResizeObserver((changes) => {
      for (const box of new Set(changes.map((change) => change.target.closest(".fit")))) fit(box);
    });
    for (const late of document.querySelectorAll(".fit img, .mp-view")) later.observe(late);
    boxes.forEach(fit);
  });
})();
