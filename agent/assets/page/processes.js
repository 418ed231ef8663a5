// All processes: the first thing that is shown.

import { announce, clean, filter, h, name, put } from "./dom.js";
import { base, count, plural, rate } from "./format.js";
import { badge, Leaks } from "./leaks.js";
import { toProcess } from "./route.js";
import { Table } from "./table.js";

const RANK = { confirmed: 2, suspected: 1 };

// Whose it is, in short.
export function whose({ origin, module, exe }) {
  const { namespace, pod, container, unit } = origin;
  const place = pod ? [namespace, pod, container].filter(Boolean).join("/") : (unit ?? container);
  return place || module || exe;
}

export function trouble({ watch }) {
  const parts = [["runtime", watch.runtime], ["probes", watch.probes]];
  return parts.filter(([, state]) => state !== "ok" && state !== "off")
    .map(([part, state]) => `${part}: ${state}`).join("; ");
}

const COLUMNS = [
  { id: "program", title: "Program", first: 1, value: (row) => base(row.exe),
    fill: (cell, row) => {
      const key = `${row.pid} ${row.exe}`;
      if (cell.dataset.key === key) return;
      cell.dataset.key = key;
      cell.replaceChildren(h("a", { href: toProcess(row.pid) }, name(base(row.exe), 80)),
        h("span", { class: "under" }, name(whose(row), 100)));
    } },
  { id: "pid", title: "PID", number: true, first: 1, value: (row) => row.pid, text: (row) => String(row.pid) },
  { id: "verdict", title: "Verdict", value: (row) => row.rank,
    fill: (cell, row) => {
      if (cell.dataset.key === row.verdict) return;
      cell.dataset.key = row.verdict;
      cell.replaceChildren(row.verdict ? badge(row.verdict) : "–");
    } },
  { id: "goroutines", title: "Goroutines", number: true, value: (row) => row.goroutines, text: (row) => count(row.goroutines) },
  { id: "births", title: "Births/s", number: true, value: (row) => row.births, text: (row) => rate(row.births) },
  { id: "threads", title: "Threads", number: true, low: true, value: (row) => row.threads, text: (row) => count(row.threads) },
  { id: "go", title: "Go", low: true, first: 1, value: (row) => row.go_version, text: (row) => (row.go_version ?? "–").replace(/^go/, "") },
  { id: "watch", title: "Watched", low: true, first: 1, value: trouble, text: (row) => trouble(row) || "fully" },
];

export class Processes {
  #before = new Map();
  #words = "";
  #rows = [];

  constructor() {
    this.leaks = new Leaks();
    this.table = new Table({ caption: "Processes", columns: COLUMNS, key: (row) => row.pid,
      sort: "verdict", fallback: (a, b) => (b.goroutines ?? -1) - (a.goroutines ?? -1),
      empty: "No Go process is watched, or none matches the filter." });
    this.total = h("p", { class: "quiet" });
    const field = filter("Filter", (words) => {
      this.#words = words.toLowerCase();
      this.#draw();
      announce(this.total.textContent);
    });
    this.title = "goroscope";
    this.node = h("div", {}, h("h1", { class: "unseen" }, "All processes"), this.leaks.node,
      h("section", { "aria-labelledby": "processes-title" },
        h("div", { class: "head" }, h("h2", { id: "processes-title" }, "Processes"), field.node),
        this.table.node, this.total));
  }

  async refresh() {}

  update({ processes, leaks, at }) {
    this.leaks.update(leaks);
    const verdicts = new Map();
    for (const { pid, verdict } of leaks) {
      if ((RANK[verdict] ?? 0) > (RANK[verdicts.get(pid)] ?? 0)) verdicts.set(pid, verdict);
    }
    const before = this.#before;
    this.#before = new Map();
    this.#rows = processes.map((process) => {
      const key = `${process.pid} ${process.start_time}`;
      const last = before.get(key);
      this.#before.set(key, { at, created: process.created_total });
      const known = last && process.created_total !== null && last.created !== null && at > last.at;
      const births = known ? Math.max(0, (process.created_total - last.created) * 1000 / (at - last.at)) : null;
      const verdict = verdicts.get(process.pid) ?? "";
      return { ...process, births, verdict, rank: RANK[verdict] ?? 0 };
    });
    this.#draw();
  }

  #draw() {
    const matches = ({ pid, exe, comm, module, go_version, origin }) =>
      [pid, exe, comm, module, go_version, ...Object.values(origin)].join(" ").toLowerCase().includes(this.#words);
    const rows = this.#rows.filter(matches);
    this.table.update(rows);
    const all = plural(this.#rows.length, "process", "processes");
    put(this.total, clean(rows.length === this.#rows.length ? all : `${count(rows.length)} of ${all}`));
  }
}
