/** Brings the page to life: reads its data once, and hands each part its own. */
(function (page) {
  "use strict";

  const THEMES = ["auto", "dark", "light"];
  const KEY = "perfsuite-theme";
  /** Of more workloads than this, each is brought to life only when it is nearly in view. */
  const AT_ONCE = 8;

  /** A file:// page may be refused its storage: then the choice holds until the page is left. */
  function remembered() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  }

  function remember(theme) {
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // Nothing is lost but the memory of it.
    }
  }

  function startTheme() {
    const root = document.documentElement;
    const button = document.getElementById("theme");
    const apply = (theme) => {
      root.dataset.theme = theme;
      if (button) button.textContent = `Theme: ${theme}`;
    };
    const before = remembered();
    apply(THEMES.includes(before) ? before : THEMES.includes(root.dataset.theme) ? root.dataset.theme : "auto");
    button?.addEventListener("click", () => {
      const next = THEMES[(THEMES.indexOf(root.dataset.theme) + 1) % THEMES.length];
      apply(next);
      remember(next);
    });
  }

  /** Paper cannot be clicked: what is folded and printed is opened for it, and folded again afterwards. */
  function startPrinting(makeAll) {
    let opened = [];
    window.addEventListener("beforeprint", () => {
      makeAll();
      opened = [...document.querySelectorAll("details:not([open], .data)")];
      for (const details of opened) details.open = true;
    });
    window.addEventListener("afterprint", () => {
      for (const details of opened) details.open = false;
      opened = [];
    });
  }

  /** The table and the icicle of a workload, made when somebody first asks for them. */
  class Views {
    constructor(workloads) {
      this.left = new Map(workloads.map((workload) => [workload.id, workload]));
      this.tables = new Map();
    }

    /** The table of a workload, undefined where it has none. */
    get(id) {
      const workload = this.left.get(id);
      if (workload) {
        this.left.delete(id);
        this.make(workload);
      }
      return this.tables.get(id);
    }

    make(workload) {
      const own = `[data-workload="${CSS.escape(workload.id)}"]`;
      const hotspots = document.querySelector(`.hotspots${own}`);
      const icicle = document.querySelector(`.icicle${own}`);
      const table = hotspots && new page.Table(hotspots, workload);
      if (table) this.tables.set(workload.id, table);
      if (icicle && workload.icicle.label.length) new page.Icicle(icicle, workload, table);
    }

    all() {
      for (const id of [...this.left.keys()]) this.get(id);
    }

    /** Make each when it is less than a window away. */
    whenNear() {
      const watch = new IntersectionObserver((entries) => {
        for (const { target, isIntersecting } of entries) {
          if (!isIntersecting) continue;
          watch.unobserve(target);
          this.get(target.id);
        }
      }, { rootMargin: "100%" });
      for (const id of this.left.keys()) watch.observe(document.getElementById(id));
    }
  }

  function start() {
    startTheme();
    page.tips.start();
    const data = document.getElementById("perfsuite-data");
    const workloads = data ? JSON.parse(data.textContent).workloads : [];
    const views = new Views(workloads);
    startPrinting(() => views.all());
    if (workloads.length > AT_ONCE) views.whenNear();
    else views.all();
    page.followHash(views);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})((globalThis.perfsuite ??= {}));
