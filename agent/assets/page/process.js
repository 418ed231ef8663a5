// One process: charts, verdicts, sites, delays.

import * as api from "./api.js";
import { Charts } from "./charts.js";
import { clean, h, name, put } from "./dom.js";
import { Delays } from "./delays.js";
import { base, clock, count } from "./format.js";
import { Leaks } from "./leaks.js";
import { trouble, whose } from "./processes.js";
import { toStacks } from "./route.js";
import { Sites } from "./sites.js";

export class Process {
  #sites = [];
  #series = null;

  constructor(pid) {
    this.pid = pid;
    this.title = `process ${pid}`;
    this.heading = h("h1", {}, `Process ${pid}`);
    this.facts = h("p", { class: "facts" });
    this.trouble = h("p", { class: "notice", hidden: true });
    this.gone = h("p", { class: "notice", hidden: true }, `Process ${pid} is not watched: it has ended, or is not among those that were asked for.`);
    this.charts = new Charts();
    this.leaks = new Leaks(pid);
    this.sites = new Sites(pid);
    this.delays = new Delays();
    this.known = h("div", {}, this.charts.node, this.leaks.node, this.sites.node, this.delays.node);
    this.node = h("div", {}, h("p", { class: "path" }, h("a", { href: "#/" }, "All processes")),
      h("div", { class: "head" }, this.heading, h("a", { class: "act", href: toStacks(pid, null) }, "All stacks")),
      this.facts, this.gone, this.trouble, this.known);
  }

  async refresh() {
    try {
      [this.#sites, this.#series] = await Promise.all([api.sites(this.pid), api.series(this.pid).catch(absent)]);
    } catch (error) {
      if (!(error instanceof api.Refused && error.status === 404)) throw error;
      this.#sites = [];
      this.#series = null;
    }
  }

  update({ processes, leaks }) {
    const process = processes.find(({ pid }) => pid === this.pid);
    this.gone.hidden = process !== undefined;
    this.known.hidden = process === undefined;
    if (!process) return;
    this.title = `${clean(base(process.exe), 60)} ${this.pid}`;
    if (this.heading.dataset.exe !== process.exe) {
      this.heading.dataset.exe = process.exe;
      this.heading.replaceChildren(name(base(process.exe), 100), h("span", { class: "at" }, ` ${this.pid}`));
    }
    put(this.facts, [`${count(process.goroutines)} goroutines`, `${count(process.threads)} threads`,
      clean(process.go_version ?? "an unknown release"), clean(whose(process), 120),
      `since ${clock(process.start_time)}`].join(", "));
    const reasons = trouble(process);
    this.trouble.hidden = reasons === "";
    put(this.trouble, `Not all of it can be watched. ${clean(reasons, 400)}`);
    if (this.#series) {
      this.charts.update(this.#series);
      this.delays.update(this.#series);
    }
    this.leaks.update(leaks);
    this.sites.update(this.#sites, leaks.filter(({ pid }) => pid === this.pid));
  }
}

// Of some processes, where there are very many, the last minutes are not kept.
function absent(error) {
  if (error instanceof api.Refused && error.status === 404) return null;
  throw error;
}
