/**
 * Numbers as text, exactly as present/cells.py writes them, but held together by no-break spaces: what the
 * server rendered and what a click renders again must not differ in a digit.
 */
(function (page) {
  "use strict";

  const MISSING = "–";
  const TIME_UNITS = [["ns", 1], ["µs", 1e3], ["ms", 1e6], ["s", 1e9]];
  const BYTE_UNITS = [["B", 1], ["KiB", 2 ** 10], ["MiB", 2 ** 20], ["GiB", 2 ** 30], ["TiB", 2 ** 40]];

  const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

  /**
   * Like Python's f"{value:.{decimals}f}": toFixed rounds a tie away from zero, Python to the even digit,
   * and toFixed gives up at 1e21 where Python goes on.
   */
  function fixed(value, decimals) {
    const sign = value < 0 || Object.is(value, -0) ? "-" : "";
    const size = Math.abs(value);
    if (size >= 1e21) return sign + BigInt(size) + (decimals ? "." + "0".repeat(decimals) : "");
    // A double that is no tie differs from one well before 60 digits; toFixed is exact as far as it goes.
    const long = size.toFixed(decimals + 60);
    const cut = long.length - 60;
    const kept = long.slice(0, decimals ? cut : cut - 1);
    const tie = /^50*$/.test(long.slice(cut));
    return sign + (tie && "02468".includes(kept.at(-1)) ? kept : size.toFixed(decimals));
  }

  function scaled(value, units, base, digits) {
    if (!isNumber(value)) return MISSING;
    let text = "";
    for (const [name, size] of units) {
      const part = value / size;
      const whole = Math.trunc(Math.abs(part));
      // The first unit has no parts worth showing: a nanosecond or a byte.
      const decimals = size === 1 || whole >= 1e21 ? 0 : Math.max(0, digits - String(whole).length);
      const number = fixed(part, decimals);
      text = `${number}\u00a0${name}`;
      // By what is printed, so that 999.9 ns is 1.00 µs and not 1000 ns.
      if (Math.abs(Number(number)) < base) break;
    }
    return text;
  }

  const ns = (value, digits = 3) => scaled(value, TIME_UNITS, 1000, digits);
  const bytes = (value, digits = 3) => scaled(value, BYTE_UNITS, 1024, digits);
  const share = (value) => (isNumber(value) ? fixed(value * 100, 1) + "%" : MISSING);

  /** Calls in a step; a fraction only where the profiled steps differed. */
  function count(value) {
    if (!isNumber(value)) return MISSING;
    return fixed(value, Math.abs(value - Math.round(value)) < 0.005 ? 0 : 2);
  }

  /** Billions per second, as present/roofline.py writes them. */
  function rate(value) {
    if (!isNumber(value)) return MISSING;
    const billions = value / 1e9;
    if (billions >= 99.95 || billions === 0) return fixed(billions, 0);
    return fixed(billions, billions >= 9.995 ? 1 : billions >= 0.9995 ? 2 : 3);
  }

  /** A whole number in groups of three, held together by no-break spaces. */
  function grouped(value) {
    return isNumber(value) ? fixed(value, 0).replace(/\B(?=(\d{3})+$)/g, "\u00a0") : MISSING;
  }

  /** To the nanosecond: for those who hover because they want it exact. */
  const exact = (value) => `${ns(value)} (${grouped(value)}\u00a0ns)`;

  /** `1 call`, `3 calls`. */
  const plural = (value, word) => `${grouped(value)} ${word}${value === 1 ? "" : "s"}`;

  /** An element with children; text is always a text node, so a name of any kind stays a name. */
  page.element = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined) made.setAttribute(name, value);
    }
    made.append(...children.filter((child) => child !== null && child !== ""));
    return made;
  };

  /** The same in a drawing. */
  page.shape = (tag, attributes = {}, ...children) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };

  /** A label is cut to what fits, so most of a very long name never needs to be measured. */
  page.LONGEST_LABEL = 200;

  /** As much of the beginning as a pen draws within `width` pixels; nothing where that would be one letter. */
  page.fitting = (pen, label, width) => {
    let text = label.slice(0, page.LONGEST_LABEL);
    const wide = pen.measureText(text).width;
    if (wide <= width && text === label) return text;
    text = text.slice(0, Math.floor((text.length * width) / Math.max(wide, width)) - 1);
    while (text && pen.measureText(text + "…").width > width) text = text.slice(0, -1);
    return text.length > 1 ? text + "…" : "";
  };

  page.format = { MISSING, ns, bytes, share, count, rate, grouped, exact, plural };
})((globalThis.perfsuite ??= {}));
