/**
 * The step as nested boxes: a box is as wide as the time in it, and zooming makes it as wide as the picture.
 *
 * Boxes narrower than a pixel are not drawn but summed up in one at the end of their siblings, so that tens of
 * thousands of operators cost what can be seen of them, and nothing disappears without a word.  Such a sum is written as
 * ~parent: a negative number, which no node has.
 */
(function (page) {
  "use strict";

  const { format, element, shape, LONGEST_LABEL } = page;
  const ROW = 22;
  const NARROWEST = 1;
  const LABEL_FROM = 24;
  const [MATCH, WITHIN] = [1, 2];

  class Icicle {
    constructor(root, workload, table) {
      this.root = root;
      this.id = `${workload.id}-icicle`;
      this.table = table;
      this.strings = workload.strings;
      this.nodes = workload.icicle;
      this.operators = workload.operators;
      this.primitives = workload.primitives;
      this.size = this.nodes.label.length;
      this.zoomed = 0;
      this.active = 0;
      this.hits = null;
      this.found = "";
      this.measure();
      this.build();
      this.listen();
    }

    text = (index) => (index < 0 ? "" : this.strings[index]);
    label = (node) => this.text(this.nodes.label[node]) || "(no name)";
    kind = (node) => this.text(this.nodes.kind[node]);

    /** Nodes come parents first, so a node's subtree is all that follows until its end. */
    measure() {
      const { parent } = this.nodes;
      this.depth = new Int32Array(this.size);
      this.end = new Int32Array(this.size);
      for (let node = 1; node < this.size; node++) this.depth[node] = this.depth[parent[node]] + 1;
      for (let node = this.size - 1; node >= 0; node--) {
        this.end[node] = Math.max(this.end[node], node + 1);
        if (node) this.end[parent[node]] = Math.max(this.end[parent[node]], this.end[node]);
      }
    }

    above = (item) => (item < 0 ? ~item : this.nodes.parent[item]);
    level = (item) => (item < 0 ? this.depth[~item] + 1 : this.depth[item]);
    domId = (item) => (item < 0 ? `${this.id}-rest-${~item}` : `${this.id}-${item}`);

    pathTo(node) {
      const path = [];
      for (let at = node; at >= 0; at = this.nodes.parent[at]) path.unshift(at);
      return path;
    }

    /** The module path that a node is of or in; null outside all modules. */
    moduleOf(node) {
      const names = this.pathTo(node).filter((at) => this.kind(at) === "module");
      return names.map((at) => this.text(this.nodes.label[at])).join(".") || null;
    }

    /** A row of the table that lies in a box, or whose primitive it is; -1 where only Python does. */
    rowIn(node) {
      for (let at = node; at < this.end[node]; at++) if (this.nodes.row[at] >= 0) return this.nodes.row[at];
      return -1;
    }

    build() {
      // The picture itself is what takes the keys; its frame is no stop of its own.
      this.root.removeAttribute("tabindex");
      const label = this.root.getAttribute("aria-label");
      // No landmark: it leads nowhere in the page, and every workload has one.
      this.crumbs = element("div", { class: "crumbs", role: "group", "aria-label": `Zoomed into. ${label}` });
      this.search = element("input", {
        type: "search", class: "icicle-search", placeholder: "Highlight by name", "aria-label": "Highlight by name",
      });
      this.svg = shape("svg", { role: "tree", tabindex: 0, "aria-label": label });
      // The box that keys act on is spoken as the active one; only what a search found needs a voice of its own.
      this.matches = element("span", { "aria-live": "polite" });
      this.status = element("span");
      const status = element("p", { class: "icicle-status" }, this.matches, this.status);
      this.toTable = element("button", { type: "button", class: "to-table" });
      this.toTable.hidden = true;
      const bar = element("div", { class: "toolbar icicle-bar" }, this.crumbs, this.search);
      this.root.append(bar, this.svg, element("div", { class: "icicle-foot" }, status, this.toTable));
      const sample = this.svg.appendChild(shape("text"));
      const { fontSize, fontFamily } = getComputedStyle(sample);
      // Measuring with a canvas needs no layout, which would be one for each label.
      this.pen = document.createElement("canvas").getContext("2d");
      this.pen.font = `${fontSize} ${fontFamily}`;
    }

    // --- drawing ----------------------------------------------------------------------------------

    /** The boxes to draw as [node, left, width], and of siblings too narrow to draw [parent, left, width, how many]. */
    layout(width) {
      const { start, width: widths, parent } = this.nodes;
      const origin = start[this.zoomed];
      const scale = widths[this.zoomed] > 0 ? width / widths[this.zoomed] : 0;
      const boxes = [];
      const rests = new Map();
      for (let node = this.zoomed; node < this.end[this.zoomed];) {
        const wide = node === this.zoomed ? width : widths[node] * scale;
        if (wide >= NARROWEST) {
          boxes.push([node, (start[node] - origin) * scale, wide]);
          node++;
          continue;
        }
        const rest = rests.get(parent[node]) ?? { left: (start[node] - origin) * scale, width: 0, count: 0, ns: 0 };
        rest.width += wide;
        rest.count++;
        rest.ns += this.nodes.ns[node];
        rests.set(parent[node], rest);
        node = this.end[node];
      }
      return { boxes, rests };
    }

    draw() {
      const width = Math.floor(this.svg.getBoundingClientRect().width);
      if (!width) return;
      this.width = width;
      const { boxes, rests } = this.layout(width);
      this.rests = rests;
      const wideRests = [...rests].filter(([, rest]) => rest.width >= NARROWEST);
      // A loop and not Math.max(...): there can be more boxes than a call takes arguments.
      let deepest = this.zoomed;
      for (const [node] of boxes) if (this.depth[node] > this.depth[deepest]) deepest = node;
      const below = wideRests.some(([parent]) => this.depth[parent] === this.depth[deepest]) ? 2 : 1;
      const rows = this.depth[deepest] - this.depth[this.zoomed] + below;
      this.svg.setAttribute("viewBox", `0 0 ${width} ${rows * ROW}`);
      this.svg.setAttribute("height", rows * ROW);
      const shapes = boxes.map((box) => this.box(...box));
      shapes.push(...wideRests.map(([parent, rest]) => this.rest(parent, rest)));
      this.svg.replaceChildren(...shapes);
      const summed = wideRests.map(([parent, { left }]) => [~parent, left]);
      this.lefts = new Map([...boxes.map(([node, left]) => [node, left]), ...summed]);
      // From left to right, as arrow keys walk along a row.
      this.drawn = [...this.lefts.keys()].sort((a, b) => this.lefts.get(a) - this.lefts.get(b));
      this.drawCrumbs();
      this.activate(this.drawn.includes(this.active) ? this.active : this.zoomed, false);
    }

    top = (node) => (this.depth[node] - this.depth[this.zoomed]) * ROW;

    box(node, left, width) {
      const group = shape("g", {
        "data-node": node, id: this.domId(node), class: `node ${this.kind(node)}${this.marked(node)}`,
        role: "treeitem", "aria-level": this.depth[node] + 1, "aria-label": this.summary(node),
      });
      const size = { x: left.toFixed(2), y: this.top(node), width: width.toFixed(2), height: ROW - 1 };
      group.append(shape("rect", { class: this.kind(node), ...size }));
      const text = width >= LABEL_FROM ? page.fitting(this.pen, this.label(node), width - 8) : "";
      if (text) group.append(shape("text", { x: (left + 4).toFixed(2), y: this.top(node) + ROW - 7 }, text));
      return group;
    }

    rest(parent, { left, width, count }) {
      const size = { x: left.toFixed(2), y: this.top(parent) + ROW, width: width.toFixed(2), height: ROW - 1 };
      const rect = shape("rect", { class: "rest", ...size });
      return shape("g", {
        "data-rest": parent, id: this.domId(~parent), class: "node rest", role: "treeitem",
        "aria-level": this.depth[parent] + 2, "aria-label": `${format.grouped(count)} more, too narrow to draw here`,
      }, rect);
    }

    marked(node) {
      return this.hits ? { [MATCH]: " match", [WITHIN]: "" }[this.hits[node]] ?? " dim" : "";
    }

    drawCrumbs() {
      this.crumbs.replaceChildren(...this.pathTo(this.zoomed).map((node) => {
        const current = node === this.zoomed;
        const name = this.label(node).slice(0, 60);
        const crumb = element("button", { type: "button", "aria-current": current || null }, name);
        crumb.addEventListener("click", () => this.zoom(node));
        return crumb;
      }));
    }

    // --- what is said -----------------------------------------------------------------------------

    /** What a box is, a line each: its name, its exact time, and what of it the records know. */
    lines(node) {
      if (node < 0) return this.restLines(~node);
      const { row, primitive } = this.nodes;
      const facts = this.facts(row[node], primitive[node], node);
      return [this.label(node), `${this.kind(node)}${this.context(node)}`, this.time(node), ...facts].filter(Boolean);
    }

    /** The same in short: there is one for every box that is drawn. */
    summary = (node) => `${this.label(node).slice(0, LONGEST_LABEL)}, ${this.kind(node)}, ${this.time(node)}`;

    time(node) {
      const { ns, primitive } = this.nodes;
      const own = primitive[node];
      const share = own >= 0 ? this.primitives.share[own] : ns[node] / ns[0];
      const part = Number.isFinite(share) ? `, ${format.share(share)} of the step` : "";
      return `${format.exact(ns[node])}${part}`;
    }

    context(node) {
      const path = this.pathTo(node).slice(1, -1).map(this.label);
      return path.length ? ` in ${path.join(" › ")}`.slice(0, 300) : "";
    }

    facts(row, own, node) {
      if (own >= 0) {
        const of = (column) => this.text(this.primitives[column][own]);
        return [
          `${format.count(this.primitives.count[own])}×`, of("problem").slice(0, 300), of("dtypes"), of("layouts"),
          `oneDNN's own time, from the primitives pass${this.nodes.scaled[node] ? "; drawn narrower, to fit" : ""}`,
        ];
      }
      if (row < 0) return [];
      const inside = this.table ? this.table.inside[row] : [];
      const implementations = [...new Set(inside.map((index) => this.text(this.primitives.implementation[index])))];
      const calls = this.operators.count[row];
      return [
        `${format.count(calls)} call${calls === 1 ? "" : "s"}`, this.text(this.operators.shapes[row]).slice(0, 300),
        implementations.join(", ").slice(0, 300),
      ];
    }

    // --- what the reader does ---------------------------------------------------------------------

    listen() {
      const nodeAt = (event) => {
        const group = event.target.closest("[data-node],[data-rest]");
        if (!group) return null;
        return "rest" in group.dataset ? ~Number(group.dataset.rest) : Number(group.dataset.node);
      };
      this.svg.addEventListener("click", (event) => {
        const item = nodeAt(event);
        if (item !== null) this.zoom(item);
      });
      this.svg.addEventListener("pointermove", (event) => {
        const item = nodeAt(event);
        if (item === null) page.tips.hide();
        else page.tips.show(this.lines(item), event.clientX, event.clientY);
      });
      this.svg.addEventListener("pointerleave", () => page.tips.hide());
      this.svg.addEventListener("keydown", (event) => this.onKey(event));
      this.search.addEventListener("input", () => this.highlight());
      this.toTable.addEventListener("click", () => this.showInTable());
      // Of the frame, which the picture does not make wider: a change of our own height must not call us again.
      new ResizeObserver(() => {
        if (Math.floor(this.svg.getBoundingClientRect().width) !== this.width) this.draw();
      }).observe(this.root);
    }

    restLines(parent) {
      const { count, ns } = this.rests.get(parent);
      const what = `${format.exact(ns)}, too narrow to draw here: zoom in, or use the table`;
      return [`${format.grouped(count)} more`, what];
    }

    /** Of boxes that are summed up: into the one that holds them. */
    zoom(item) {
      page.tips.hide();
      this.zoomed = item < 0 ? ~item : item;
      this.active = this.zoomed;
      this.draw();
      this.say();
    }

    onKey(event) {
      const { parent } = this.nodes;
      const level = this.drawn.filter((item) => this.level(item) === this.level(this.active));
      const beside = (step) => level[level.indexOf(this.active) + step];
      const moves = {
        ArrowLeft: () => beside(-1),
        ArrowRight: () => beside(1),
        ArrowUp: () => (this.active === this.zoomed ? undefined : this.above(this.active)),
        ArrowDown: () => this.drawn.find((item) => this.above(item) === this.active),
        Home: () => this.zoomed,
      };
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (moves[event.key]) this.activate(moves[event.key]() ?? this.active);
      else if (event.key === "Enter" || event.key === " ") this.zoom(this.active);
      else if (event.key === "Escape") this.zoom(Math.max(parent[this.zoomed], 0));
      else return;
      event.preventDefault();
    }

    /** Make a box the one that keys act on. */
    activate(item, told = true) {
      this.active = item;
      this.svg.querySelector(".active")?.classList.remove("active");
      document.getElementById(this.domId(item))?.classList.add("active");
      this.svg.setAttribute("aria-activedescendant", this.domId(item));
      if (told) this.say();
    }

    /** Below the picture, for those who have no pointer to hover with; what was searched for stays said. */
    say() {
      this.matches.textContent = this.found && `${this.found} · `;
      this.status.textContent = this.lines(this.active).filter(Boolean).join(" · ");
      const kind = this.active < 0 ? "rest" : this.kind(this.active);
      const what = { operator: "this operator", primitive: "its operator", module: "its operators" }[kind];
      this.toTable.hidden = !this.table || !what || this.rowIn(this.active) < 0;
      this.toTable.textContent = `Show ${what} in the table`;
    }

    showInTable() {
      const row = this.rowIn(this.active);
      // A box is of one phase, a module is of several: rows of the others are not in it.
      const [module, phase] = [this.operators.module[row], this.operators.phase[row]];
      const single = this.nodes.row[this.active] >= 0;
      const path = single || module < 0 ? this.table.label(module) : this.moduleOf(this.active);
      this.table.reveal(path, phase, single ? row : null);
    }

    /** Mark what is called so, and say how much time it is; what lies within a match is not added again. */
    highlight() {
      const wanted = this.search.value.trim().toLowerCase();
      this.hits = wanted ? new Uint8Array(this.size) : null;
      let [count, ns, executed] = [0, 0, false];
      for (let node = 0; wanted && node < this.size; node++) {
        const name = this.kind(node) === "module" ? this.moduleOf(node) : this.label(node);
        if (!name.toLowerCase().includes(wanted)) continue;
        count++;
        ns += this.nodes.ns[node];
        executed ||= this.kind(node) === "primitive";
        this.hits.fill(WITHIN, node, this.end[node]);
        this.hits[node] = MATCH;
        node = this.end[node] - 1;
      }
      const step = this.nodes.ns[0];
      const part = format.ns(ns) + (step > 0 ? ` of ${format.ns(step)} (${format.share(ns / step)})` : "");
      const clock = executed ? ", primitives by oneDNN's own clock" : "";
      this.found = wanted ? `${format.grouped(count)} ${count === 1 ? "match" : "matches"}, ${part}${clock}` : "";
      this.draw();
      this.say();
    }
  }

  page.Icicle = Icicle;
})((globalThis.perfsuite ??= {}));
