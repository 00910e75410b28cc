/**
 * The hotspots: sorted, filtered, and expanded to the primitives of an operator.
 *
 * Only the first rows are in the document, whatever is found among tens of thousands: a browser lays out every row
 * that exists, while sorting and filtering the columns themselves takes milliseconds.
 */
(function (page) {
  "use strict";

  const { format, element, RowMaker, TEXT_COLUMNS } = page;
  const FIRST = 30;
  const MORE = 200;
  const OFFERED = 100;
  const OUTSIDE = "(outside)";
  const NO_PRIMITIVE = "(none)";
  /** Collated once a column: comparing ranks is what makes sorting 20 000 names instant. */
  function rankStrings(strings, used) {
    const order = [...new Set(used)].filter((index) => index >= 0);
    const collator = new Intl.Collator("en", { numeric: true });
    order.sort((a, b) => collator.compare(strings[a], strings[b]));
    return new Map(order.map((index, rank) => [index, rank]));
  }

  class Table {
    constructor(root, workload) {
      this.root = root;
      this.id = workload.id;
      this.strings = workload.strings;
      this.rows = workload.operators;
      this.primitives = workload.primitives;
      this.size = this.rows.name.length;
      this.stepNs = workload.icicle.ns[0] ?? this.rows.self_ns.reduce((sum, ns) => sum + ns, 0);
      this.keys = new Map();
      this.expanded = new Set();
      this.initial = { key: "self_ns", down: true };
      this.sort = { ...this.initial };
      this.shown = FIRST;
      this.table = root.querySelector("table.operators");
      this.body = this.table.tBodies[0] ?? this.table.createTBody();
      this.heads = [...this.table.tHead.rows[0].cells];
      this.maker = new RowMaker(workload, this.heads, root.dataset.primitives !== "no");
      this.inside = this.maker.inside;
      this.filters = Object.fromEntries(
        ["text", "phase", "module", "primitive"].map((name) => [name, root.querySelector(`.filter-${name}`)]),
      );
      this.fillFilters();
      this.listen();
      this.update();
    }

    text = (index) => (index < 0 ? "" : this.strings[index]);
    label = (index) => (index < 0 ? OUTSIDE : this.strings[index]);

    // --- filters ----------------------------------------------------------------------------------

    fillFilters() {
      const labels = (column) => [...new Set(column)].map(this.label);
      const kinds = labels(this.primitives.kind);
      if (this.inside.some((found) => !found.length)) kinds.push(NO_PRIMITIVE);
      this.offer("phase", "All phases", labels(this.rows.phase));
      this.offer("primitive", "All primitives", kinds);
      this.completeModules();
    }

    options = (values) => values.map((value) => element("option", { value }, value.slice(0, 200)));

    offer(name, all, values) {
      this.filters[name]?.replaceChildren(element("option", { value: "" }, all), ...this.options(values));
    }

    /** A model has hundreds of modules: they are typed, any part of a name will do, and the best are offered. */
    completeModules() {
      const field = this.filters.module;
      if (!field) return;
      const list = element("datalist", { id: `${this.id}-filter-module` });
      const offer = () => {
        const wanted = field.value.trim().toLowerCase();
        const fitting = [...this.modules].filter((path) => path.toLowerCase().includes(wanted));
        list.replaceChildren(...this.options(fitting.slice(0, OFFERED)));
      };
      field.setAttribute("list", list.id);
      field.after(list);
      field.addEventListener("focus", offer);
      field.addEventListener("input", offer);
    }

    /** Every module that is or holds one of a row, those near the root first. */
    get modules() {
      if (!this.paths) {
        const paths = new Set([...new Set(this.rows.module)].map(this.label));
        for (const path of [...paths]) {
          for (let at = path.indexOf("."); at >= 0; at = path.indexOf(".", at + 1)) paths.add(path.slice(0, at));
        }
        this.paths = new Set([...paths].sort((a, b) => a.split(".").length - b.split(".").length));
      }
      return this.paths;
    }

    /** What the reader chose, but only what is not the default. */
    get state() {
      const chosen = Object.entries(this.filters).map(([name, control]) => [name, control?.value.trim() ?? ""]);
      const sort = (this.sort.down ? "-" : "") + this.sort.key;
      return new URLSearchParams([...chosen, ["sort", sort === "-self_ns" ? "" : sort]].filter(([, value]) => value));
    }

    set state(chosen) {
      for (const [name, control] of Object.entries(this.filters)) if (control) control.value = chosen.get(name) ?? "";
      const [, down, key] = /^(-?)(.*)$/.exec(chosen.get("sort") ?? "");
      const known = this.heads.some((head) => head.dataset.key === key);
      this.sort = known ? { key, down: down === "-" } : { ...this.initial };
      this.shown = FIRST;
      this.update();
    }

    /** Everything of a row that the text field looks through, made when it is first asked for. */
    haystack(row) {
      this.haystacks ??= new Array(this.size);
      return (this.haystacks[row] ??= [
        ...["name", "module", "shapes", "phase"].map((key) => this.text(this.rows[key][row])),
        ...new Set(this.inside[row].map((index) => this.text(this.primitives.implementation[index]))),
      ].join("\n").toLowerCase());
    }

    matching() {
      const wanted = Object.fromEntries([...this.state]);
      const words = (wanted.text ?? "").toLowerCase().split(/\s+/).filter(Boolean);
      const kind = wanted.primitive;
      const found = [];
      for (let row = 0; row < this.size; row++) {
        if (wanted.phase && this.label(this.rows.phase[row]) !== wanted.phase) continue;
        if (wanted.module && !this.within(this.label(this.rows.module[row]), wanted.module)) continue;
        if (kind === NO_PRIMITIVE ? this.inside[row].length : kind && !this.executes(row, kind)) continue;
        if (words.length && !words.every((word) => this.haystack(row).includes(word))) continue;
        found.push(row);
      }
      return found;
    }

    /** A whole path means that module and what is in it; half a name, while it is typed, what begins with it. */
    within(path, wanted) {
      if (!path.startsWith(wanted)) return false;
      return path === wanted || path[wanted.length] === "." || !this.modules.has(wanted);
    }

    executes(row, kind) {
      return this.inside[row].some((index) => this.label(this.primitives.kind[index]) === kind);
    }

    // --- order ------------------------------------------------------------------------------------

    /** The column as numbers to compare, NaN where nothing is known. */
    keysOf(key) {
      if (!this.keys.has(key)) {
        const column = this.rows[key];
        const ranks = TEXT_COLUMNS.has(key) ? rankStrings(this.strings, column) : null;
        this.keys.set(key, column.map((value) => (ranks ? ranks.get(value) ?? NaN : value ?? NaN)));
      }
      return this.keys.get(key);
    }

    ordered(rows) {
      const keys = this.keysOf(this.sort.key);
      const sign = this.sort.down ? -1 : 1;
      // What is not known is last either way: nobody looks for it at the top.
      return rows.sort((a, b) => {
        const [one, other] = [keys[a], keys[b]];
        if (Number.isNaN(one) || Number.isNaN(other)) return Number.isNaN(one) - Number.isNaN(other);
        return sign * (one - other);
      });
    }

    // --- what is shown ----------------------------------------------------------------------------

    update() {
      this.found = this.ordered(this.matching());
      for (const head of this.heads) {
        if (head.dataset.key !== this.sort.key) head.removeAttribute("aria-sort");
        else head.setAttribute("aria-sort", this.sort.down ? "descending" : "ascending");
      }
      const ns = this.found.reduce((sum, row) => sum + this.rows.self_ns[row], 0);
      const count = this.root.querySelector(".row-count");
      if (count) {
        const part = this.stepNs > 0 ? ` (${format.share(ns / this.stepNs)})` : "";
        const rows = `${format.grouped(this.found.length)} of ${format.plural(this.size, "row")}`;
        count.textContent = `${rows}, ${format.ns(ns)} of ${format.ns(this.stepNs)}${part}`;
      }
      this.body.replaceChildren(...this.made(0, this.shown));
      this.showMore();
    }

    made(from, to) {
      return this.found.slice(from, to).flatMap((row) => {
        const open = this.expanded.has(row);
        return open ? [this.maker.line(row, true), this.maker.detail(row)] : [this.maker.line(row, false)];
      });
    }

    showMore() {
      const button = this.root.querySelector("button.more");
      if (!button) return;
      const left = this.found.length - this.shown;
      button.hidden = left <= 0;
      button.textContent = `Show ${format.grouped(Math.min(left, MORE))} more of ${format.grouped(left)}`;
    }

    // --- what the reader does ---------------------------------------------------------------------

    listen() {
      for (const head of this.heads) {
        head.querySelector("button")?.addEventListener("click", () => this.sortBy(head.dataset.key));
      }
      for (const control of Object.values(this.filters)) control?.addEventListener("input", () => this.changed());
      this.root.querySelector("button.more")?.addEventListener("click", () => {
        this.body.append(...this.made(this.shown, this.shown + MORE));
        this.shown += MORE;
        this.showMore();
      });
      this.body.addEventListener("click", (event) => {
        const line = event.target.closest("tr[data-row]");
        // Who marks text to copy it does not want the row to open.
        if (line && (event.target.closest("button") || getSelection().isCollapsed)) this.toggle(line);
      });
      this.body.addEventListener("keydown", (event) => this.onKey(event));
    }

    changed() {
      this.shown = FIRST;
      this.update();
      page.rememberInHash(this.id, this.state);
    }

    sortBy(key) {
      const down = this.sort.key === key ? !this.sort.down : !TEXT_COLUMNS.has(key);
      this.sort = { key, down };
      this.changed();
    }

    toggle(line) {
      const row = Number(line.dataset.row);
      const open = !this.expanded.delete(row);
      if (open) this.expanded.add(row);
      line.querySelector(".expand")?.setAttribute("aria-expanded", open);
      if (open) line.after(this.maker.detail(row));
      else line.nextElementSibling.remove();
    }

    /** Up and down go from row to row, as in a list; Escape folds the row that has the focus. */
    onKey(event) {
      const button = event.target.closest(".expand");
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (button && step) {
        const all = [...this.body.querySelectorAll(".expand")];
        all[all.indexOf(button) + step]?.focus();
        event.preventDefault();
      } else if (button?.getAttribute("aria-expanded") === "true" && event.key === "Escape") {
        this.toggle(button.closest("tr"));
      }
    }

    /** Show the rows of a module, or one row of it, opened. */
    reveal(module, row = null) {
      const name = row === null ? "" : this.text(this.rows.name[row]);
      this.state = new URLSearchParams({ module, text: name });
      if (row !== null) {
        this.expanded.add(row);
        this.shown = Math.max(FIRST, this.found.indexOf(row) + 1);
        this.update();
      }
      page.rememberInHash(this.id, this.state);
      const line = row === null ? null : this.body.querySelector(`tr[data-row="${row}"]`);
      (line ?? this.root).scrollIntoView({ block: line ? "center" : "start" });
      (line?.querySelector(".expand") ?? this.filters.text)?.focus({ preventScroll: true });
    }
  }

  page.Table = Table;

  /** `#w0?text=conv&sort=-count`: a link to what is being looked at.  A file:// page may be refused it. */
  page.rememberInHash = (id, state) => {
    const query = String(state);
    try {
      history.replaceState(null, "", query ? `#${id}?${query}` : "#");
    } catch {
      // The view itself does not depend on it.
    }
  };

  page.followHash = (tables) => {
    const follow = () => {
      const [, id, query] = /^#([^?]*)\?(.*)$/.exec(location.hash) ?? [];
      const table = tables.get(id);
      if (!table) return;
      table.state = new URLSearchParams(query);
      table.root.scrollIntoView({ block: "start" });
    };
    follow();
    window.addEventListener("hashchange", follow);
  };
})((globalThis.perfsuite ??= {}));
