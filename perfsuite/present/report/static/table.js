/**
 * The hotspots: sorted, filtered, and expanded to the primitives of an operator.
 *
 * Only the first rows are in the document, whatever is found among tens of thousands: a browser lays out every row
 * that exists, while sorting and filtering the columns themselves takes milliseconds.
 */
(function (page) {
  "use strict";

  const { format, element, RowMaker, TEXT_COLUMNS } = page;
  const MORE = 200;
  /** More rows than this make a page slow, and nobody reads them: filters find a row, scrolling does not. */
  const MOST = 2000;
  const OUTSIDE = "(outside)";
  const NO_PRIMITIVE = "(none)";
  /** Filters that are typed, and not chosen. */
  const TYPED = new Set(["text", "module"]);
  const UNNAMED = "(no name)";
  /** The value of a choice for what is in none: no name has it, see `valueOf`. */
  const IN_NONE = "-";
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
      /** How many rows stand in the document at first, and on paper. */
      this.first = Number(root.dataset.rows);
      this.shown = this.first;
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

    /** A name as the value of a choice: itself, unless that would read as all ("") or as none ("-"). */
    valueOf(index) {
      if (index < 0) return IN_NONE;
      const name = this.strings[index];
      return /^($|[-=])/.test(name) ? `=${name}` : name;
    }

    // --- filters ----------------------------------------------------------------------------------

    fillFilters() {
      const named = (column, none) => [...new Set(column)].map((index) =>
        [this.valueOf(index), index < 0 ? none : this.strings[index] || UNNAMED]);
      const kinds = named(this.primitives.kind, UNNAMED);
      if (this.inside.some((found) => !found.length)) kinds.push([IN_NONE, NO_PRIMITIVE]);
      this.offer("phase", "All phases", named(this.rows.phase, OUTSIDE));
      this.offer("primitive", "All primitives", kinds);
      this.modules = new page.Modules(this.rows.module, this.label);
      if (this.filters.module) this.modules.complete(this.filters.module, `${this.id}-filter-module`);
    }

    offer(name, all, named) {
      const options = [["", all], ...new Map(named)];
      const made = options.map(([value, label]) => element("option", { value }, label.slice(0, 200)));
      this.filters[name]?.replaceChildren(...made);
    }

    /** What the reader chose, but only what is not the default. */
    get state() {
      const chosen = Object.entries(this.filters).map(([name, control]) => [name, control?.value ?? ""]);
      // Spaces alone, where they are typed, mean nothing; those of a phase are part of its name.
      for (const field of chosen) if (TYPED.has(field[0]) && !field[1].trim()) field[1] = "";
      const sort = (this.sort.down ? "-" : "") + this.sort.key;
      return new URLSearchParams([...chosen, ["sort", sort === "-self_ns" ? "" : sort]].filter(([, value]) => value));
    }

    set state(chosen) {
      for (const [name, control] of Object.entries(this.filters)) if (control) control.value = chosen.get(name) ?? "";
      const [, down, key] = /^(-?)(.*)$/.exec(chosen.get("sort") ?? "");
      const known = this.heads.some((head) => head.dataset.key === key);
      this.sort = known ? { key, down: down === "-" } : { ...this.initial };
      this.shown = this.first;
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
      const fits = wanted.module ? this.modules.test(wanted.module) : null;
      const found = [];
      for (let row = 0; row < this.size; row++) {
        if (wanted.phase && this.valueOf(this.rows.phase[row]) !== wanted.phase) continue;
        if (fits && !fits(this.rows.module[row])) continue;
        if (kind === IN_NONE ? this.inside[row].length : kind && !this.executes(row, kind)) continue;
        if (words.length && !words.every((word) => this.haystack(row).includes(word))) continue;
        found.push(row);
      }
      return found;
    }

    executes(row, kind) {
      return this.inside[row].some((index) => this.valueOf(this.primitives.kind[index]) === kind);
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
        // Without a step that took time there is nothing that it could be a part of.
        const of = this.stepNs > 0 ? ` of ${format.ns(this.stepNs)} (${format.share(ns / this.stepNs)})` : "";
        const rows = `${format.grouped(this.found.length)} of ${format.plural(this.size, "row")}`;
        count.textContent = `${rows}, ${format.ns(ns)}${of}`;
      }
      this.body.replaceChildren(...(this.found.length ? this.made(0, this.shown) : [this.maker.nothing()]));
      this.showMore();
      this.sayPrinted();
    }

    /** For paper, which holds the first rows in the order and with the filter of the moment. */
    sayPrinted() {
      const printed = Math.min(this.found.length, this.first);
      const [here, of] = [format.grouped(printed), format.grouped(this.found.length)];
      const fit = this.found.length < this.size ? " that fit the filter" : "";
      const text = printed < this.size ? `Printed are the first ${here} of ${of} rows${fit}; the page itself has all.` : "";
      const line = this.root.querySelector(".printed");
      if (line) line.textContent = text;
    }

    made(from, to) {
      return this.found.slice(from, to).flatMap((row, index) => {
        const open = this.expanded.has(row);
        const lines = open ? [this.maker.line(row, true), this.maker.detail(row)] : [this.maker.line(row, false)];
        // Paper ends after the first rows, however many are shown.
        if (from + index >= this.first) for (const line of lines) line.classList.add("beyond");
        return lines;
      });
    }

    showMore() {
      const button = this.root.querySelector("button.more");
      if (!button) return;
      const left = this.found.length - this.shown;
      const capped = left > 0 && this.shown >= MOST;
      button.hidden = left <= 0 || capped;
      button.textContent = `Show ${format.grouped(Math.min(left, MORE, MOST - this.shown))} more of ${format.grouped(left)}`;
      const line = this.root.querySelector(".capped");
      const [here, of] = [format.grouped(this.shown), format.grouped(this.found.length)];
      if (line) line.textContent = capped ? `These are the first ${here} of ${of} rows: filter or sort to see others.` : "";
    }

    /** More rows; where the button goes, its focus goes on to the first of them. */
    more() {
      const [from, to] = [this.shown, Math.min(this.shown + MORE, Math.max(MOST, this.shown))];
      this.body.append(...this.made(from, to));
      this.shown = to;
      this.showMore();
      const row = this.found[from];
      if (this.root.querySelector("button.more").hidden) {
        this.body.querySelector(`tr[data-row="${row}"] .expand`)?.focus({ preventScroll: true });
      }
    }

    // --- what the reader does ---------------------------------------------------------------------

    listen() {
      for (const head of this.heads) {
        head.querySelector("button")?.addEventListener("click", () => this.sortBy(head.dataset.key));
      }
      for (const control of Object.values(this.filters)) control?.addEventListener("input", () => this.changed());
      this.root.querySelector("button.more")?.addEventListener("click", () => this.more());
      this.body.addEventListener("click", (event) => {
        const line = event.target.closest("tr[data-row]");
        // Who marks text to copy it does not want the row to open.
        if (line && (event.target.closest("button") || getSelection().isCollapsed)) this.toggle(line);
      });
      this.body.addEventListener("keydown", (event) => this.onKey(event));
    }

    changed() {
      this.shown = this.first;
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
      if (open) {
        const detail = this.maker.detail(row);
        detail.classList.toggle("beyond", line.classList.contains("beyond"));
        line.after(detail);
      }
      if (!open) line.nextElementSibling.remove();
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

    /** Show the rows of a module in a phase (an index as in the column), or one row of them, opened. */
    reveal(module, phase, row = null) {
      const name = row === null ? "" : this.text(this.rows.name[row]);
      this.state = new URLSearchParams({ module, text: name, phase: this.valueOf(phase) });
      if (row !== null) {
        this.expanded.add(row);
        this.shown = Math.max(this.first, this.found.indexOf(row) + 1);
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
