// A table that is sorted by its headings and kept up to date in place.

import { clean, h, put } from "./dom.js";
import { count } from "./format.js";

// Rows that are shown; the rest is told of.
const MOST = 500;

// Columns: `id`, `title`; `value` of a row to sort by; `text` of a cell, or `fill` for one with
// more than text in it, which gets the cell and the row. `number` aligns, `low` is left out where
// there is little room. `first` is the order that the first click sorts in: 1 or -1.
export class Table {
  #rows = [];
  #lines = new Map();

  constructor({ caption, columns, key, sort, order = -1, fallback, empty }) {
    Object.assign(this, { columns, key, sort, order, fallback, empty });
    this.body = h("tbody");
    this.headings = columns.map((column) => this.#heading(column));
    this.more = h("p", { class: "more", hidden: true });
    const head = h("thead", {}, h("tr", {}, this.headings));
    const table = h("table", {}, h("caption", { class: "unseen" }, caption), head, this.body);
    const region = { class: "scroll", role: "region", tabindex: "0", "aria-label": caption };
    this.node = h("div", {}, h("div", region, table), this.more);
    this.#mark();
  }

  #heading(column) {
    const shape = { class: this.#shape(column), scope: "col" };
    if (!column.value) return h("th", shape, column.title);
    const act = () => {
      this.order = this.sort === column.id ? -this.order : (column.first ?? -1);
      this.sort = column.id;
      this.#mark();
      this.#draw();
    };
    return h("th", shape, h("button", { type: "button", class: "sort", on: { click: act } }, column.title));
  }

  #shape({ number, low, id }) {
    return [`c-${id}`, number && "number", low && "low"].filter(Boolean).join(" ");
  }

  #mark() {
    this.columns.forEach((column, index) => {
      const sorted = column.id === this.sort ? (this.order > 0 ? "ascending" : "descending") : null;
      if (sorted) this.headings[index].setAttribute("aria-sort", sorted);
      else this.headings[index].removeAttribute("aria-sort");
    });
  }

  update(rows) {
    this.#rows = rows;
    this.#draw();
  }

  #compare(a, b) {
    const { value } = this.columns.find((column) => column.id === this.sort);
    return this.order * order(value(a), value(b)) || this.fallback?.(a, b) || order(this.key(a), this.key(b));
  }

  #draw() {
    const rows = [...this.#rows].sort((a, b) => this.#compare(a, b)).slice(0, MOST);
    const lines = new Map();
    for (const row of rows) {
      const key = this.key(row);
      const line = this.#lines.get(key) ?? this.#line();
      this.columns.forEach((column, index) => {
        const cell = line.cells[index];
        if (column.fill) column.fill(cell, row);
        else put(cell, clean(column.text(row)));
      });
      lines.set(key, line);
    }
    for (const [key, line] of this.#lines) if (lines.get(key) !== line) line.remove();
    this.#lines = lines;
    this.#arrange([...lines.values()]);
    const beyond = this.#rows.length - rows.length;
    this.more.hidden = rows.length > 0 && beyond === 0;
    put(this.more, rows.length === 0 ? this.empty : `${count(beyond)} more; filter to see them.`);
  }

  #line() {
    const cells = this.columns.map((column, index) => {
      const shape = { class: this.#shape(column) };
      return index === 0 ? h("th", { ...shape, scope: "row" }) : h("td", shape);
    });
    return h("tr", {}, cells);
  }

  // Moves what is not in its place, and no more: what is moved loses the focus.
  #arrange(lines) {
    const focused = this.body.contains(document.activeElement) ? document.activeElement : null;
    let next = null;
    for (const line of lines.reverse()) {
      if (line.parentNode !== this.body || line.nextSibling !== next) this.body.insertBefore(line, next);
      next = line;
    }
    if (focused && document.activeElement !== focused) focused.focus({ preventScroll: true });
  }
}

// What is not known comes below everything.
function order(a, b) {
  if (typeof a === "string" || typeof b === "string") return String(a ?? "").localeCompare(String(b ?? ""));
  return (a ?? -Infinity) === (b ?? -Infinity) ? 0 : (a ?? -Infinity) < (b ?? -Infinity) ? -1 : 1;
}
