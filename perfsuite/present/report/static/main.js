/** Brings the page to life: reads its data once, and hands each part its own. */
(function (page) {
  "use strict";

  const THEMES = ["auto", "dark", "light"];
  const KEY = "perfsuite-theme";

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

  /** Paper cannot be clicked: what is folded is opened for it, and folded again afterwards. */
  function startPrinting() {
    let opened = [];
    window.addEventListener("beforeprint", () => {
      opened = [...document.querySelectorAll("details:not([open])")];
      for (const details of opened) details.open = true;
    });
    window.addEventListener("afterprint", () => {
      for (const details of opened) details.open = false;
      opened = [];
    });
  }

  function start() {
    startTheme();
    startPrinting();
    page.tips.start();
    const data = document.getElementById("perfsuite-data");
    const workloads = data ? JSON.parse(data.textContent).workloads : [];
    const views = new Map();
    for (const workload of workloads) {
      const own = `[data-workload="${CSS.escape(workload.id)}"]`;
      const hotspots = document.querySelector(`.hotspots${own}`);
      const icicle = document.querySelector(`.icicle${own}`);
      const table = hotspots && new page.Table(hotspots, workload);
      if (table) views.set(workload.id, table);
      if (icicle && workload.icicle.label.length) new page.Icicle(icicle, workload, table);
    }
    page.followHash(views);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})((globalThis.perfsuite ??= {}));
