/**
 * One tooltip for the whole page, and one stop of the Tab key for each figure: arrow keys go on from mark to mark.  The marks of the figures carry their text in <title>, which browsers show
 * late, unstyled, and neither on focus nor on touch.
 */
(function (page) {
  "use strict";

  const SVG = "http://www.w3.org/2000/svg";
  const GAP = 12;
  /** Element → its lines; nothing is stored in the document, so printing and saving it are not affected. */
  const texts = new WeakMap();
  let box = null;

  function makeBox() {
    box = document.createElement("div");
    box.className = "tooltip";
    box.id = "tooltip";
    box.setAttribute("role", "tooltip");
    box.hidden = true;
    document.body.append(box);
  }

  /** Show lines of text next to a point of the window, on the side where there is room. */
  function show(lines, x, y) {
    box.replaceChildren(...lines.map((line, index) => {
      // The first of several lines is the name of what the others tell about.
      const row = page.element(index || lines.length === 1 ? "span" : "strong", { dir: "auto" }, line);
      row.style.display = "block";
      return row;
    }));
    box.hidden = false;
    const { width, height } = box.getBoundingClientRect();
    const { clientWidth, clientHeight } = document.documentElement;
    const left = x + GAP + width <= clientWidth ? x + GAP : x - GAP - width;
    const top = y + GAP + height <= clientHeight ? y + GAP : y - GAP - height;
    box.style.left = `${Math.max(0, Math.min(left, clientWidth - width))}px`;
    box.style.top = `${Math.max(0, top)}px`;
  }

  function hide() {
    if (box) box.hidden = true;
  }

  const markOf = (target) => {
    for (let at = target; at && at !== document; at = at.parentNode) if (texts.has(at)) return at;
    return null;
  };

  /** Take over the titles of an inlined figure: its marks get our tooltip, the whole figure an accessible name. */
  function adopt(svg) {
    for (const title of svg.querySelectorAll("title")) {
      const mark = title.parentElement;
      const text = title.textContent.trim();
      if (!mark.hasAttribute("aria-label")) mark.setAttribute("aria-label", text);
      if (mark !== svg) texts.set(mark, text.split("\n"));
      title.remove();
    }
    marksOf(svg).forEach((mark, index) => mark.setAttribute("tabindex", index ? -1 : 0));
    svg.addEventListener("keydown", (event) => walk(svg, event));
    svg.addEventListener("focusin", (event) => {
      const mark = event.target.closest("[tabindex]");
      for (const other of marksOf(svg)) other.setAttribute("tabindex", other === mark ? 0 : -1);
    });
  }

  const marksOf = (svg) => [...svg.querySelectorAll("[tabindex]")];

  /** Arrows go to the mark beside, Home and End to the first and the last. */
  function walk(svg, event) {
    const marks = marksOf(svg);
    const at = marks.indexOf(event.target.closest("[tabindex]"));
    const to = {
      ArrowLeft: at - 1, ArrowUp: at - 1, ArrowRight: at + 1, ArrowDown: at + 1, Home: 0, End: marks.length - 1,
    }[event.key];
    if (at < 0 || to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    marks[Math.max(0, Math.min(to, marks.length - 1))].focus();
    event.preventDefault();
  }

  function atElement(mark) {
    const { left, top, width, height } = mark.getBoundingClientRect();
    show(texts.get(mark), left + width / 2, top + height / 2);
  }

  function start() {
    makeBox();
    document.querySelectorAll("svg.figure, figure svg").forEach(adopt);
    document.addEventListener("pointermove", (event) => {
      const mark = markOf(event.target);
      if (mark) show(texts.get(mark), event.clientX, event.clientY);
    });
    document.addEventListener("pointerout", (event) => {
      if (event.pointerType !== "touch" && markOf(event.target)) hide();
    });
    // A finger has no hover: it shows on touch and goes with the next touch elsewhere.
    document.addEventListener("pointerdown", (event) => {
      const mark = markOf(event.target);
      if (mark) show(texts.get(mark), event.clientX, event.clientY);
      else hide();
    });
    document.addEventListener("focusin", (event) => {
      const mark = event.target instanceof SVGElement && event.target.namespaceURI === SVG && markOf(event.target);
      if (mark && mark.matches(":focus-visible")) atElement(mark);
    });
    document.addEventListener("focusout", hide);
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") hide();
    });
    window.addEventListener("scroll", hide, { passive: true });
  }

  page.tips = { start, show, hide };
})((globalThis.perfsuite ??= {}));
