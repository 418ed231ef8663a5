// The stacks of a process: a flame graph, and the same as a table.

import * as api from "./api.js";
import { announce, button, checkbox, choice, clean, filter, h, name, put } from "./dom.js";
import { Flame } from "./flame.js";
import { base, clock, count, duration, plural } from "./format.js";
import { toProcess, toStacks } from "./route.js";
import { Table } from "./table.js";

// Frames of a stack that a row of the table shows.
const SHOWN = 60;

const at = (place) => (place && place.file ? `${base(place.file)}:${place.line}` : "");

// What a goroutine does, in the runtime's words.
export const doing = (stack) => stack.wait_reason ?? stack.state;

function frames(row) {
  const lines = row.frames.slice(0, SHOWN).map((place) => h("li", {}, name(place.function), " ", h("span", { class: "at" }, clean(at(place)))));
  if (row.frames.length > SHOWN) lines.push(h("li", {}, `… ${row.frames.length - SHOWN} more`));
  const top = row.frames[0] ? [name(row.frames[0].function, 120)] : [row.torn ? "(ran while it was looked at)" : "(no stack)"];
  return lines.length === 0 ? top : [h("details", {}, h("summary", {}, top), h("ol", { class: "frames" }, lines))];
}

const COLUMNS = [
  { id: "goroutines", title: "Goroutines", number: true, value: (row) => row.goroutines, text: (row) => count(row.goroutines) },
  { id: "doing", title: "Doing", first: 1, value: doing, text: doing },
  { id: "wait", title: "Longest wait", number: true, low: true, value: (row) => row.longest_wait_seconds, text: (row) => duration(row.longest_wait_seconds) },
  { id: "stack", title: "Stack", first: 1, value: (row) => row.frames[0]?.function,
    fill: (cell, row) => {
      if (cell.dataset.key === row.key) return;
      cell.dataset.key = row.key;
      cell.replaceChildren(...frames(row));
    } },
  { id: "site", title: "Created by", low: true, first: 1, value: (row) => row.created_by?.function,
    text: (row) => (row.created_by ? `${clean(row.created_by.function, 100)} ${at(row.created_by)}` : "–") },
];

// A new dump, in the forms that others read.
function saved(pid) {
  const link = (form) => h("a", { href: `api/v1/processes/${pid}/dump?format=${form}` }, form);
  const links = ["text", "json", "pprof", "folded", "svg"].flatMap((form) => [" ", link(form)]);
  return h("p", { class: "quiet" }, "A new dump of all goroutines, as", links);
}

// Places by their numbers, put in; and what is the same from dump to dump.
function resolve({ places, stacks }) {
  const place = (number) => (number === null ? null : (places[number] ?? null));
  return stacks.map((stack) => {
    const row = { ...stack, created_by: place(stack.created_by), start: place(stack.start), frames: stack.frames.map(place).filter(Boolean) };
    const parts = [doing(row), row.created_by, ...row.frames].map((part) => (part?.function ? `${part.function} ${at(part)}` : part));
    return { ...row, key: parts.join("\u0000") };
  });
}

export class Stacks {
  #dump = null;
  #rows = [];
  #words = "";
  #doing = "";
  #own = false;

  constructor(pid, site) {
    Object.assign(this, { pid, site });
    this.title = `stacks of ${pid}`;
    this.heading = h("h1", {}, `Stacks of process ${pid}`);
    this.facts = h("p", { class: "facts", role: "status" }, "Taking a dump…");
    this.refused = h("p", { class: "notice", hidden: true });
    this.again = button("Take again", () => this.take());
    this.flame = new Flame();
    this.table = new Table({ caption: "Stacks", columns: COLUMNS, key: (row) => row.key, sort: "goroutines", empty: "No stack matches." });
    const changed = () => {
      this.#draw();
      announce(this.facts.textContent);
    };
    const words = filter("Filter", (text) => {
      this.#words = text.toLowerCase();
      changed();
    });
    this.doing = choice("Doing", (value) => {
      this.#doing = value;
      changed();
    });
    const own = checkbox("the runtime’s own", (shown) => {
      this.#own = shown;
      changed();
    });
    this.body = h("div", { hidden: true }, h("div", { class: "head" }, words.node, this.doing.node, own),
      this.flame.node, h("section", {}, h("h2", {}, "By stack"), this.table.node), saved(pid));
    const only = site && h("p", { class: "only" }, "Only those created by ", name(site.created_by), " ",
      h("span", { class: "at" }, clean(site.location)), ". ", h("a", { href: toStacks(pid, null) }, "Show all"));
    this.node = h("div", {}, h("p", { class: "path" }, h("a", { href: "#/" }, "All processes"), " / ", h("a", { href: toProcess(pid) }, `Process ${pid}`)),
      h("div", { class: "head" }, this.heading, this.again), this.facts, only, this.refused, this.body);
    this.take();
  }

  async refresh() {}

  update({ processes }) {
    const process = processes.find(({ pid }) => pid === this.pid);
    if (!process || this.heading.dataset.exe === process.exe) return;
    this.heading.dataset.exe = process.exe;
    this.title = `stacks of ${clean(base(process.exe), 60)} ${this.pid}`;
    this.heading.replaceChildren("Stacks of ", name(base(process.exe), 100), h("span", { class: "at" }, ` ${this.pid}`));
  }

  async take() {
    this.again.disabled = true;
    try {
      this.#dump = await api.stacks(this.pid);
      this.#rows = resolve(this.#dump);
      this.refused.hidden = true;
      this.body.hidden = false;
      this.#choices();
      this.#draw();
    } catch (error) {
      this.refused.hidden = false;
      put(this.refused, error instanceof api.Refused ? clean(error.message, 600) : "The agent does not answer; the dump can be taken again when it does.");
      if (!this.#dump) put(this.facts, "There is no dump.");
    }
    this.again.disabled = false;
  }

  #choices() {
    const all = [...new Set(this.#rows.map(doing))].sort();
    const option = (value, label) => h("option", { value }, label);
    this.doing.select.replaceChildren(option("", "anything"), ...all.map((value) => option(value, clean(value, 60))));
    if (!all.includes(this.#doing)) this.#doing = "";
    this.doing.select.value = this.#doing;
  }

  #ofSite({ created_by, start }) {
    const { site } = this;
    if (!site) return true;
    return (created_by?.function ?? "") === site.created_by && at(created_by) === site.location && (start?.function ?? "") === site.start;
  }

  #draw() {
    const mine = this.#rows.filter((row) => this.#ofSite(row) && (this.#own || !row.system));
    const matches = (row) => (!this.#doing || doing(row) === this.#doing) &&
      (!this.#words || [row.created_by, ...row.frames].some((place) => place && `${place.function} ${place.file}`.toLowerCase().includes(this.#words)));
    const shown = mine.filter(matches);
    const sum = (rows) => rows.reduce((all, row) => all + row.goroutines, 0);
    const { taken_at, torn, beyond, goroutines } = this.#dump;
    const rest = [torn && `${count(torn)} ran meanwhile`, beyond && `${count(beyond)} of rarer stacks are left out`].filter(Boolean);
    put(this.facts, `${plural(sum(shown), "goroutine", "goroutines")} of ${count(goroutines)}, ` +
      `${plural(shown.length, "stack", "stacks")}, at ${clock(taken_at)}${rest.length ? `; ${rest.join(", ")}` : ""}`);
    this.flame.update(shown);
    this.table.update(shown);
  }
}
