/** Rows of the table of operators, and what a row opens to: in the shape in which the server writes them. */
(function (page) {
  "use strict";

  const { format, element } = page;
  const TEXT_COLUMNS = new Set(["name", "phase", "module", "shapes", "dtypes", "bound"]);
  const FORMATS = {
    count: format.count, self_ns: format.ns, total_ns: format.ns, primitives_ns: format.ns, share: format.share,
    flop_rate: format.rate, byte_rate: format.rate, ceiling_share: format.share,
  };
  /** Head of the table of primitives, and what a cell of it says. */
  const PRIMITIVE_COLUMNS = [
    ["Primitive", (p, text, i) => `${text(p.kind[i])} ${text(p.direction[i])}`],
    ["Implementation", (p, text, i) => text(p.implementation[i])],
    ["Data types", (p, text, i) => text(p.dtypes[i])],
    ["Layouts", (p, text, i) => text(p.layouts[i])],
    ["Attributes", (p, text, i) => text(p.attributes[i])],
    ["Algorithm", (p, text, i) => text(p.algorithm[i])],
    ["Problem", (p, text, i) => text(p.problem[i])],
    ["Calls", (p, text, i) => format.count(p.count[i])],
    ["Time", (p, text, i) => format.ns(p.time_ns[i])],
    ["Of step", (p, text, i) => format.share(p.share[i])],
  ];
  const NUMBERS_FROM = 7;

  class RowMaker {
    /** `recorded`: whether the primitives pass ran; without it, that an operator has none means nothing. */
    constructor(workload, heads, recorded) {
      this.strings = workload.strings;
      this.rows = workload.operators;
      this.primitives = workload.primitives;
      this.heads = heads;
      this.recorded = recorded;
      /** Row → its primitives. */
      this.inside = this.rows.name.map(() => []);
      this.primitives.operator.forEach((row, index) => row >= 0 && this.inside[row].push(index));
    }

    text = (index) => (index < 0 ? "" : this.strings[index]);

    /** A row of the table; `open` where its primitives follow. */
    line(row, open) {
      const cells = this.heads.map((head) => this.cell(head.dataset.key, row, open));
      return element("tr", { "data-row": row }, ...cells);
    }

    cell(key, row, open) {
      if (!key) {
        const holds = this.inside[row].length > 0;
        const label = `${holds ? "Primitives" : "Details"} of ${this.text(this.rows.name[row])}`;
        const kind = holds ? "expand" : "expand plain";
        const button = { type: "button", class: kind, "aria-expanded": open, "aria-label": label.slice(0, 200) };
        return element("td", { class: "toggle" }, element("button", button));
      }
      if (key === "name") {
        const parts = ["name", "shapes", "module"].map((part) => [part, this.text(this.rows[part][row])]);
        const texts = parts.filter(([, text]) => text);
        const lines = texts.map(([part, text]) => element("bdi", { class: part, title: text }, text));
        return element("td", { class: "what" }, ...lines);
      }
      const value = this.rows[key][row];
      if (TEXT_COLUMNS.has(key)) {
        const why = key === "bound" ? this.text(this.rows.unbound[row]) || null : null;
        const text = value < 0 ? format.MISSING : this.text(value);
        return element("td", { class: key, title: why }, element("bdi", { title: key === "phase" ? text : null }, text));
      }
      const cell = element("td", { class: "number" }, FORMATS[key](value));
      if (key === "share" && value !== null) {
        cell.classList.add("share");
        cell.style.setProperty("--part", format.share(Math.min(Math.max(value, 0), 1)));
      }
      return cell;
    }

    /** Instead of rows, where no row fits the filters. */
    nothing() {
      const text = "No row fits: take something out of the filters above.";
      return element("tr", { class: "nothing" }, element("td", { colspan: this.heads.length }, text));
    }

    /** The row below it: what the cells had no room for, and the primitives. */
    detail(row) {
      const facts = [
        ["Operator", this.text(this.rows.name[row])],
        ["Phase", this.text(this.rows.phase[row])],
        ["Module", this.text(this.rows.module[row])],
        ["Shapes", this.text(this.rows.shapes[row])],
        ["Data types", this.text(this.rows.dtypes[row])],
        ["Bound", this.text(this.rows.bound[row]) || this.text(this.rows.unbound[row])],
        ["Self time", format.exact(this.rows.self_ns[row])],
      ].filter(([, text]) => text);
      const list = facts.flatMap(([name, text]) => [
        element("dt", {}, name), element("dd", {}, element("bdi", {}, text)),
      ]);
      const parts = [element("dl", { class: "full" }, ...list), this.inner(row)];
      const cell = element("td", { colspan: this.heads.length }, element("div", { class: "inner" }, ...parts));
      return element("tr", { class: "detail", "data-of": row }, cell);
    }

    /** The primitives of an operator as a table, or the reason why there are none. */
    inner(row) {
      if (!this.recorded) {
        return element("p", {}, "The primitives pass did not run, so what this operator executed is not known.");
      }
      if (!this.inside[row].length) return element("p", {}, "This operator executed no oneDNN primitive.");
      const kind = (column) => (column < NUMBERS_FROM ? {} : { class: "number" });
      const heads = PRIMITIVE_COLUMNS.map(([name], column) => element("th", { scope: "col", ...kind(column) }, name));
      const longest = [...this.inside[row]].sort((a, b) => this.primitives.time_ns[b] - this.primitives.time_ns[a]);
      const lines = longest.map((index) => element("tr", {}, ...PRIMITIVE_COLUMNS.map(([, say], column) =>
        element("td", kind(column), element("bdi", {}, say(this.primitives, this.text, index) || format.MISSING)))));
      const [head, body] = [element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...lines)];
      return element("div", { class: "scroll" }, element("table", { class: "primitives" }, head, body));
    }
  }

  Object.assign(page, { RowMaker, TEXT_COLUMNS });
})((globalThis.perfsuite ??= {}));
