// Charts of a process over time.

import uPlot from "./vendor/uplot/uPlot.esm.js";
import { h, put } from "./dom.js";
import { clock, count, delay, rate } from "./format.js";

const HEIGHT = 190;
// A shorter time on the axis has seconds.
const LONG = 600;
// The last points that are also told as a table.
const TOLD = 12;

// Lines differ in their dashes, not by colour alone.
const DASHES = [[], [6, 4]];

// Colours are the style sheet's, whatever it has them from; a canvas must be told.
function colour(element, name) {
  const probe = h("span", { class: `ink-${name}`, hidden: true });
  element.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

// How much a counter grew by, each second, from point to point.
export function perSecond(at, totals) {
  return totals.map((total, index) => {
    const before = totals[index - 1];
    const time = at[index] - at[index - 1];
    return index > 0 && total !== null && before !== null && time > 0 && total >= before ? (total - before) / time : null;
  });
}

const CLOCKS = ["{HH}:{mm}", "{HH}:{mm}:{ss}"].map((template) => uPlot.fmtDate(template));

function times(plot, splits) {
  const write = CLOCKS[plot.scales.x.max - plot.scales.x.min < LONG ? 1 : 0];
  return splits.map((time) => write(new Date(time * 1000)));
}

class Chart {
  #plot = null;
  #data = [[]];
  #theme = "";
  #rows = null;

  // `lines`: names; `show` writes a value; `logarithmic` for delays.
  constructor({ title, lines, show, logarithmic = false }) {
    Object.assign(this, { title, lines, show, logarithmic });
    this.values = lines.map(() => h("b"));
    this.moment = h("span", { class: "moment" });
    const keys = lines.map((line, index) => h("span", { class: `key line-${index}` },
      h("span", { class: "dash", "aria-hidden": "true" }), `${line} `, this.values[index]));
    this.canvas = h("div", { class: "canvas", role: "img", "aria-label": title });
    this.table = h("div", { class: "scroll" });
    const details = h("details", { class: "values" }, h("summary", {}, "Values"), this.table);
    details.addEventListener("toggle", () => {
      this.#rows = details.open ? [] : null;
      this.#tell();
    });
    this.node = h("figure", { "aria-label": title }, h("figcaption", {}, h("h3", {}, title), ...keys, this.moment), this.canvas, details);
    new ResizeObserver(() => this.#size()).observe(this.canvas);
  }

  update(at, columns) {
    // On a logarithmic axis there is no place for 0.
    const drawn = (value) => (this.logarithmic && value !== null && value <= 0 ? null : value);
    this.#data = [at, ...columns.map((column) => column.map(drawn))];
    this.#latest();
    const theme = colour(this.node, "text");
    if (this.#plot && theme !== this.#theme) this.#drop();
    this.#theme = theme;
    if (this.#plot) this.#plot.setData(this.#data);
    else this.#draw();
    this.#tell();
  }

  #drop() {
    this.#plot?.destroy();
    this.#plot = null;
  }

  // The values under the pointer, or the last ones.
  #latest(index = null) {
    const at = index ?? this.#data[0].length - 1;
    this.values.forEach((value, line) => put(value, this.show(this.#data[line + 1]?.[at] ?? null)));
    put(this.moment, index === null ? "" : clock(this.#data[0][index]));
  }

  #size() {
    const width = this.canvas.clientWidth;
    if (width > 0 && this.#plot && this.#plot.width !== width) this.#plot.setSize({ width, height: HEIGHT });
    if (width > 0 && !this.#plot) this.#draw();
  }

  #draw() {
    const width = this.canvas.clientWidth;
    if (width === 0 || this.#data[0].length === 0) return;
    const [ink, grid] = [colour(this.node, "quiet"), colour(this.node, "line")];
    const axis = { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const scale = this.logarithmic
      ? { distr: 3, range: (_, low, high) => uPlot.rangeLog(low ?? 1e-6, high ?? 1e-3, 10, true) }
      : { range: (_, __, high) => [0, high ? high * 1.1 : 1] };
    const values = (_, splits) => splits.map((value) => (value === null ? null : this.show(value)));
    const line = (name, index) => ({
      label: name, stroke: colour(this.node, `line-${index}`), width: 2, dash: DASHES[index], spanGaps: false,
      points: { show: this.logarithmic, size: 4 },
    });
    this.#plot = new uPlot({
      width,
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, sync: { key: "goroscope" } },
      scales: { x: { time: true }, y: scale },
      axes: [{ ...axis, space: 75, size: 32, values: times }, { ...axis, size: 64, values }],
      series: [{}, ...this.lines.map(line)],
      hooks: { setCursor: [(plot) => this.#latest(plot.cursor.idx)] },
    }, this.#data, this.canvas);
  }

  // For those who cannot see the lines; only while it is open.
  #tell() {
    if (!this.#rows) return;
    const [at, ...columns] = this.#data;
    const from = Math.max(0, at.length - TOLD);
    const head = h("tr", {}, ["Time", ...this.lines].map((line) => h("th", { scope: "col" }, line)));
    const rows = at.slice(from).map((time, index) => h("tr", {}, h("th", { scope: "row" }, clock(time)),
      columns.map((column) => h("td", { class: "number" }, this.show(column[from + index])))));
    this.table.replaceChildren(h("table", {}, h("caption", { class: "unseen" }, this.title),
      h("thead", {}, head), h("tbody", {}, rows.reverse())));
  }
}

export class Charts {
  constructor() {
    this.goroutines = new Chart({ title: "Goroutines", lines: ["live"], show: count });
    this.births = new Chart({ title: "Births and deaths a second", lines: ["born", "ended"], show: rate });
    this.delays = new Chart({ title: "Delay, 99 % wait no longer", lines: ["Go: to be run", "threads: for a CPU"], show: delay, logarithmic: true });
    this.node = h("section", { class: "charts", "aria-label": "Last minutes" },
      this.goroutines.node, this.births.node, this.delays.node);
  }

  update({ at, goroutines, created, exited, go_delay_p99, thread_delay_p99 }) {
    this.goroutines.update(at, [goroutines]);
    this.births.update(at, [perSecond(at, created), perSecond(at, exited)]);
    this.delays.update(at, [go_delay_p99, thread_delay_p99]);
  }
}
