// Creation sites of a process: who starts goroutines, and who has too many.

import { announce, checkbox, clean, filter, h, name, put } from "./dom.js";
import { bytes, count, duration, growth, plural } from "./format.js";
import { badge } from "./leaks.js";
import { toStacks } from "./route.js";
import { Table } from "./table.js";

const RANK = { confirmed: 2, suspected: 1 };

// What the main goroutine begins with. Assembly has created it, of which there is no line.
const MAIN = "runtime.main";
const keyOf = (site) => [site.created_by, site.file, site.line, site.start].join("\u0000");

// What most of them do, and how many kinds more there are.
function doing(site) {
  const all = Object.entries(site.doing).sort((a, b) => b[1] - a[1]);
  if (all.length === 0) return "–";
  const [most, number] = all[0];
  const more = all.length > 1 ? `, ${all.length - 1} other` : "";
  return `${most} (${count(number)})${more}`;
}

function columns(pid) {
  // Cells with elements are made once, and again only where they would be others.
  const once = (key, make) => (cell, site) => {
    const value = key(site);
    if (cell.dataset.key === value) return;
    cell.dataset.key = value;
    cell.replaceChildren(...make(site));
  };
  return [
    { id: "site", title: "Created by", first: 1, value: (site) => site.created_by,
      fill: once(keyOf, (site) => (site.created_by === null ? ["all other sites"] : site.start === MAIN ? ["the main goroutine"] : [
        name(site.created_by), " ", h("span", { class: "at" }, clean(site.location)),
        h("span", { class: "under" }, "starts ", name(site.start))])) },
    { id: "verdict", title: "Verdict", value: (site) => site.rank,
      fill: once((site) => site.verdict, (site) => [site.verdict ? badge(site.verdict) : "–"]) },
    { id: "live", title: "Live", number: true, value: (site) => site.live, text: (site) => count(site.live) },
    { id: "growth", title: "Growth/min", number: true, value: (site) => site.growth_per_minute, text: (site) => growth(site.growth_per_minute) },
    { id: "stacks", title: "Stacks",
      fill: once(keyOf, (site) => (site.created_by === null ? ["–"] : [
        h("a", { class: "act", href: toStacks(pid, site) }, "Flame graph", h("span", { class: "unseen" }, ` of ${clean(site.created_by, 80)}`))])) },
    { id: "doing", title: "Doing", low: true, first: 1, value: doing, text: doing },
    { id: "wait", title: "Longest wait", number: true, low: true, value: (site) => site.longest_wait_seconds, text: (site) => duration(site.longest_wait_seconds) },
    { id: "created", title: "Born", number: true, low: true, value: (site) => site.created, text: (site) => count(site.created) },
    { id: "bytes", title: "Stack memory", number: true, low: true, value: (site) => site.stack_bytes, text: (site) => bytes(site.stack_bytes) },
  ];
}

export class Sites {
  #sites = [];
  #words = "";
  #own = false;

  constructor(pid) {
    this.table = new Table({ caption: "Creation sites", columns: columns(pid), key: keyOf, sort: "verdict",
      fallback: (a, b) => (b.growth_per_minute ?? 0) - (a.growth_per_minute ?? 0) || b.live - a.live,
      empty: "No site is known (yet), or none matches the filter." });
    this.total = h("p", { class: "quiet" });
    const changed = () => {
      this.#draw();
      announce(this.total.textContent);
    };
    const field = filter("Filter", (words) => {
      this.#words = words.toLowerCase();
      changed();
    });
    const own = checkbox("the runtime’s own", (shown) => {
      this.#own = shown;
      changed();
    });
    this.node = h("section", { "aria-labelledby": "sites-title" },
      h("div", { class: "head" }, h("h2", { id: "sites-title" }, "Sites"), field.node, own), this.table.node, this.total);
  }

  update(sites, leaks) {
    const verdicts = new Map(leaks.map((leak) => [keyOf(leak), leak]));
    this.#sites = sites.map((site) => {
      const leak = verdicts.get(keyOf(site));
      return { ...site, verdict: leak?.verdict ?? "", rank: RANK[leak?.verdict] ?? 0 };
    });
    this.#draw();
  }

  #draw() {
    const matches = (site) => (this.#own || !site.system) &&
      [site.created_by, site.location, site.file, site.start, ...Object.keys(site.doing)].join(" ").toLowerCase().includes(this.#words);
    const shown = this.#sites.filter(matches);
    this.table.update(shown);
    put(this.total, `${plural(shown.length, "site", "sites")} of ${count(this.#sites.length)}`);
  }
}
