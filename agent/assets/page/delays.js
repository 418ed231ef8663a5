// How long goroutines and threads waited: two distributions side by side, as a table with bars.

import { h, put } from "./dom.js";
import { count, delay, duration, percent } from "./format.js";

const sum = (counts) => counts.reduce((all, one) => all + one, 0);

// A cell with a bar as long as the share, and the share in words.
class Bar {
  constructor(kind) {
    this.bar = h("span", { class: `bar ${kind}`, "aria-hidden": "true" });
    this.share = h("span", { class: "share" });
    this.node = h("td", { class: "bars" }, this.bar, this.share);
  }

  update(counted, all, most) {
    const part = all > 0 ? counted / all : 0;
    this.bar.style.inlineSize = `${most > 0 ? (100 * part) / most : 0}%`;
    this.bar.hidden = counted === 0;
    put(this.share, counted === 0 ? "" : percent(part));
    this.node.title = `${count(counted)} times`;
  }
}

export class Delays {
  #rows = [];

  constructor() {
    this.body = h("tbody");
    this.words = h("p", { class: "quiet" });
    const heading = (title) => h("th", { scope: "col" }, title);
    const table = h("table", { class: "delays" }, h("caption", { class: "unseen" }, "Delays"),
      h("thead", {}, h("tr", {}, heading("Waited up to"), heading("Goroutines, to be run"), heading("Threads, for a CPU"))), this.body);
    this.scroll = h("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "Delays" }, table);
    this.node = h("section", { "aria-labelledby": "delays-title" },
      h("h2", { id: "delays-title" }, "Delays of the last minutes"), this.words, this.scroll);
  }

  update({ go_delays: go, thread_delays: threads }) {
    const counts = [go, threads].map((of) => of?.counts ?? []);
    const all = counts.map(sum);
    this.scroll.hidden = all[0] + all[1] === 0;
    put(this.words, this.#tell(go, threads, all));
    if (this.scroll.hidden) return;
    const used = counts.flatMap((of) => [of.findIndex((n) => n > 0), of.findLastIndex((n) => n > 0)]).filter((at) => at >= 0);
    const [first, last] = [Math.min(...used), Math.max(...used)];
    const most = counts.map((of, index) => Math.max(0, ...of) / Math.max(1, all[index]));
    const bounds = (go ?? threads).bounds;
    while (this.#rows.length <= last - first) this.#rows.push(this.#row());
    this.#rows.forEach((row, index) => {
      const at = first + index;
      row.node.hidden = at > last;
      put(row.bound, bounds[at] === undefined ? "longer" : delay(Number(bounds[at].toPrecision(2))));
      row.bars.forEach((bar, of) => bar.update(counts[of][at] ?? 0, all[of], Math.max(...most)));
    });
  }

  #row() {
    const bound = h("th", { scope: "row" });
    const bars = [new Bar("line-0"), new Bar("line-1")];
    const node = h("tr", {}, bound, bars.map((bar) => bar.node));
    this.body.append(node);
    return { node, bound, bars };
  }

  #tell(go, threads, all) {
    const told = [];
    if (go) told.push(`${count(all[0])} waits of goroutines in ${duration(go.over_seconds)} (Go notes one in eight)`);
    if (threads) told.push(`${count(all[1])} waits of threads in ${duration(threads.over_seconds)}`);
    return told.length === 0 ? "Nothing is known of delays (yet)." : `${told.join(", ")}. Bounds are rounded.`;
  }
}
