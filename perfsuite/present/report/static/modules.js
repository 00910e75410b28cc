/** The modules of a table: what the field that filters by them offers, and which rows a text in it means. */
(function (page) {
  "use strict";

  const { element } = page;
  const OFFERED = 100;

  class Modules {
    /** `column` has an index for each row, and `label` tells the path of an index. */
    constructor(column, label) {
      this.label = label;
      this.column = column;
    }

    /** Every module that is or holds one of a row, those near the root first. */
    get paths() {
      if (!this.known) {
        const paths = new Set([...new Set(this.column)].map(this.label));
        for (const path of [...paths]) {
          for (let at = path.indexOf("."); at >= 0; at = path.indexOf(".", at + 1)) paths.add(path.slice(0, at));
        }
        this.known = new Set([...paths].sort((a, b) => a.split(".").length - b.split(".").length));
      }
      return this.known;
    }

    /** A model has hundreds of modules: they are typed, any part of a name will do, and the best are offered. */
    complete(field, id) {
      const list = element("datalist", { id });
      const offer = () => {
        const wanted = field.value.trim().toLowerCase();
        const fitting = [...this.paths].filter((path) => path.toLowerCase().includes(wanted));
        list.replaceChildren(...fitting.slice(0, OFFERED).map((value) => element("option", { value })));
      };
      field.setAttribute("list", id);
      field.after(list);
      field.addEventListener("focus", offer);
      field.addEventListener("input", offer);
    }

    /**
     * What the module of a row, an index, must be: of a whole path that module or one in it, of whole names within a
     * path (`conv1`) one with these names, of anything else one that has it anywhere.  Only a whole path has capitals.
     */
    test(typed) {
      const known = new Map();
      const once = (fits) => (index) => {
        if (!known.has(index)) known.set(index, fits(this.label(index)));
        return known.get(index);
      };
      for (const whole of [typed, typed.trim()]) {
        if (this.paths.has(whole)) return once((path) => path === whole || path.startsWith(`${whole}.`));
      }
      const wanted = typed.trim().toLowerCase();
      const named = (path) => `.${path.toLowerCase()}.`.includes(`.${wanted}.`);
      if ([...this.paths].some(named)) return once(named);
      return once((path) => path.toLowerCase().includes(wanted));
    }
  }

  page.Modules = Modules;
})((globalThis.perfsuite ??= {}));
