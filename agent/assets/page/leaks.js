// Verdicts of the judge, each with what speaks for it.

import { announce, clean, h, name, put } from "./dom.js";
import { base, bytes, clock, count, growth } from "./format.js";
import { toProcess, toStacks } from "./route.js";

const WORDS = { confirmed: "Leak", suspected: "Suspected" };

// A verdict as a word with a sign: never by colour alone.
export function badge(verdict) {
  const sign = verdict === "confirmed" ? "▲" : "△";
  return h("span", { class: `badge ${verdict === "confirmed" ? "confirmed" : "suspected"}` },
    h("span", { "aria-hidden": "true" }, sign), ` ${WORDS[verdict] ?? clean(verdict)}`);
}

export function keyOf(leak) {
  return [leak.pid, leak.created_by, leak.location, leak.start].join("\u0000");
}

// The list of verdicts; with `of` only those of one process.
export class Leaks {
  #known = null;
  #cards = new Map();

  constructor(of = null) {
    this.of = of;
    this.list = h("div", { class: "cards" });
    this.none = h("p", { class: "quiet" }, "No site is judged to leak. A verdict takes about a minute of growth.");
    this.node = h("section", { "aria-labelledby": "leaks-title" },
      h("h2", { id: "leaks-title" }, "Leaks"), this.none, this.list);
  }

  update(leaks) {
    const shown = this.of === null ? leaks : leaks.filter((leak) => leak.pid === this.of);
    this.none.hidden = shown.length > 0;
    const cards = new Map();
    for (const leak of shown) {
      const key = keyOf(leak);
      const card = this.#cards.get(key) ?? new Card(leak);
      card.update(leak);
      cards.set(key, card);
    }
    for (const [key, card] of this.#cards) if (!cards.has(key)) card.node.remove();
    this.#cards = cards;
    [...cards.values()].forEach((card, index) => {
      if (this.list.children[index] !== card.node) this.list.insertBefore(card.node, this.list.children[index] ?? null);
    });
    this.#tell(shown);
  }

  // What is new since the last time.
  #tell(leaks) {
    const now = new Map(leaks.map((leak) => [keyOf(leak), leak]));
    if (this.#known) {
      const fresh = [...now].filter(([key, leak]) => this.#known.get(key)?.verdict !== leak.verdict);
      const words = fresh.map(([, leak]) => `${WORDS[leak.verdict] ?? "Leak"}: ${clean(leak.created_by, 80)} in ${clean(base(leak.exe), 40)}`);
      if (words.length > 0) announce(words.slice(0, 3).join("; "));
    }
    this.#known = now;
  }
}

class Card {
  constructor(leak) {
    this.badge = h("span");
    this.facts = h("p", { class: "facts" });
    this.evidence = h("ul", { class: "evidence" });
    const where = h("p", { class: "place" }, name(leak.created_by), " ",
      h("span", { class: "at" }, clean(leak.location)), " starts ", name(leak.start));
    const process = h("a", { href: toProcess(leak.pid) }, name(base(leak.exe), 80), ` (${leak.pid})`);
    const stacks = h("a", { class: "act", href: toStacks(leak.pid, leak) }, "Flame graph",
      h("span", { class: "unseen" }, ` of ${clean(leak.created_by, 80)}`));
    this.node = h("article", { class: "card" },
      h("h3", {}, this.badge, " ", process), where, this.facts,
      h("details", {}, h("summary", {}, "Evidence"), this.evidence), stacks);
    this.node.querySelector("details").open = true;
  }

  update(leak) {
    if (this.verdict !== leak.verdict) this.badge.replaceChildren(badge(leak.verdict));
    this.verdict = leak.verdict;
    this.node.dataset.verdict = leak.verdict === "confirmed" ? "confirmed" : "suspected";
    const since = leak.confirmed_at ?? leak.since;
    put(this.facts, `${count(leak.goroutines)} goroutines, ${growth(leak.per_minute)} a minute, ` +
      `${clean(leak.wait_reason)}, ${bytes(leak.stack_bytes)} of stacks, ` +
      `${leak.verdict} ${leak.confirmed_at ? "at" : "since"} ${clock(since)}`);
    const words = leak.evidence.map(({ rule, words }) => [clean(rule, 40), clean(words)]);
    const told = JSON.stringify(words);
    if (this.told === told) return;
    this.told = told;
    this.evidence.replaceChildren(...words.map(([rule, what]) => h("li", {}, h("b", {}, rule), `: ${what}`)));
  }
}
