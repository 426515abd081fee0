// Runs the book's anywidgets on a page that has no kernel: it reads the widget
// state stored with the notebook, and gives each view a model that only this page knows.
// Not a module: browsers refuse those on a page opened from a folder, without a server.

(() => {
  const VIEW = "application/vnd.jupyter.widget-view+json";
  const STATE = "application/vnd.jupyter.widget-state+json";
  const modules = new Map(); // module text -> its promise: two boxes share one import

  function makeModel(state) {
    const listeners = new Map();
    const changed = new Set();
    const emit = (event) => [...(listeners.get(event) ?? [])].forEach((listener) => listener());
    return {
      get: (name) => state[name],
      set(name, value) {
        if (JSON.stringify(state[name]) === JSON.stringify(value)) return;
        state[name] = value;
        changed.add(name);
        emit(`change:${name}`);
      },
      save_changes() {
        if (changed.size) emit("change");
        changed.clear();
      },
      on: (event, listener) => listeners.set(event, [...(listeners.get(event) ?? []), listener]),
      off: (event, listener) =>
        listeners.set(
          event,
          (listeners.get(event) ?? []).filter((l) => l !== listener),
        ),
      send() {}, // no kernel to send to
    };
  }

  function load(text) {
    if (!modules.has(text)) {
      const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
      modules.set(
        text,
        import(url).finally(() => URL.revokeObjectURL(url)),
      );
    }
    return modules.get(text);
  }

  function addStyle(text) {
    if (
      [...document.querySelectorAll("style[data-widget]")].some(
        (style) => style.textContent === text,
      )
    )
      return;
    const style = document.createElement("style");
    style.dataset.widget = "";
    style.textContent = text;
    document.head.append(style);
  }

  async function show(view, state, models) {
    const { model_id: id } = JSON.parse(view.textContent);
    const stored = state[id]?.state;
    const place = view.closest(".mp-view") ?? view.parentElement;
    try {
      if (!stored?._esm) throw new Error("this widget needs a kernel");
      addStyle(stored._css);
      const widget = (await load(stored._esm)).default;
      if (!models.has(id)) {
        models.set(id, makeModel(stored));
        await widget.initialize?.({ model: models.get(id) });
      }
      place.replaceChildren();
      await widget.render({ model: models.get(id), el: place });
      place.dataset.ready = "";
    } catch (error) {
      place.append(
        `This widget cannot be shown here: ${error.message}. Run this notebook to use it.`,
      );
      place.dataset.failed = error.message;
    }
  }

  const store = document.querySelector(`script[type="${STATE}"]`);
  const { state } = store ? JSON.parse(store.textContent) : { state: {} };
  const models = new Map();
  for (const view of document.querySelectorAll(`script[type="${VIEW}"]`)) show(view, state, models);
})();
