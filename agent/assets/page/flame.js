// A flame graph of stacks, the root above: frames are buttons, so that it works with keys and is
// read aloud. A click shows what is below a frame in full width.

import { button, clean, h, put } from "./dom.js";
import { base, count, percent } from "./format.js";

// Narrower frames are not drawn: they could not be seen.
const NARROWEST = 0.002;
const MOST = 2500;
const ROW = 22;

// Sums stacks up to a tree, from the root of each.
export function tree(stacks) {
  const root = node("all", "all", "");
  for (const stack of stacks) {
    const calls = [...stack.frames].reverse().map((place) => ({ name: place.function, kind: kind(place), at: `${base(place.file)}:${place.line}` }));
    if (stack.truncated) calls.unshift({ name: "(deeper calls not shown)", kind: "state", at: "" });
    calls.push({ name: `[${stack.torn ? "ran meanwhile" : (stack.wait_reason ?? stack.state)}]`, kind: "state", at: "" });
    let to = root;
    root.value += stack.goroutines;
    for (const call of calls) {
      let below = to.below.get(call.name);
      if (!below) {
        below = node(call.name, call.kind, call.at, to);
        to.below.set(call.name, below);
      }
      below.value += stack.goroutines;
      to = below;
    }
  }
  return root;
}

function node(name, kind, at, above = null) {
  return { name, kind, at, above, value: 0, below: new Map(), depth: above ? above.depth + 1 : 0 };
}

// Whose code it is: a package without a dot in the first part of its path is Go's own.
function kind({ function: name }) {
  const path = name.split("/");
  const [first] = path;
  const pack = path.at(-1).split(".")[0];
  if (path.length === 1 && (pack === "runtime" || pack === "main")) return pack;
  if (first === "runtime" || name.startsWith("internal/runtime/")) return "runtime";
  return path.length > 1 && first.includes(".") ? "module" : "library";
}

// Frames with their places, as parts of the width: `focus` and all above it take all of it.
export function layout(focus) {
  const placed = [];
  for (let above = focus.above; above; above = above.above) placed.unshift({ node: above, left: 0, width: 1 });
  const queue = [{ node: focus, left: 0, width: 1 }];
  while (queue.length > 0 && placed.length < MOST) {
    const here = queue.shift();
    placed.push(here);
    let left = here.left;
    for (const below of [...here.node.below.values()].sort((a, b) => b.value - a.value || (a.name < b.name ? -1 : 1))) {
      const width = (here.width * below.value) / here.node.value;
      if (width >= NARROWEST) queue.push({ node: below, left, width });
      left += width;
    }
  }
  return placed;
}

const KINDS = [["main", "main"], ["module", "modules"], ["library", "standard library"], ["runtime", "runtime"], ["state", "waits for"]];

export class Flame {
  #root = null;
  #focus = null;
  #drawn = [];

  constructor() {
    this.frames = h("div", { class: "frames-area", role: "group", "aria-label": "Flame graph", "aria-describedby": "flame-help",
      on: { keydown: (event) => this.#key(event) } });
    this.detail = h("p", { class: "detail" });
    this.whole = button("Whole graph", () => this.#show(this.#root), { disabled: true });
    const legend = h("ul", { class: "legend" }, KINDS.map(([kind, words]) => h("li", {}, h("span", { class: `swatch ${kind}`, "aria-hidden": "true" }), words)));
    this.node = h("section", { class: "flame", "aria-labelledby": "flame-title" },
      h("div", { class: "head" }, h("h2", { id: "flame-title" }, "Flame graph"), this.whole, legend),
      h("p", { class: "quiet", id: "flame-help" }, "The width of a frame is the number of goroutines in it, calls go downwards. A click or Enter widens a frame, arrows go from frame to frame, Escape shows all."),
      this.frames, this.detail);
  }

  update(stacks) {
    const path = [];
    for (let at = this.#focus; at?.above; at = at.above) path.unshift(at.name);
    this.#root = tree(stacks);
    // The same frame again, where it is still there.
    let focus = this.#root;
    for (const name of path) focus = focus.below.get(name) ?? focus;
    this.#show(focus);
  }

  #show(focus) {
    const hadFocus = this.frames.contains(document.activeElement);
    this.#focus = focus;
    this.whole.disabled = focus === this.#root;
    const all = this.#root.value;
    if (all === 0) {
      this.frames.replaceChildren();
      put(this.detail, "No goroutine is left to show.");
      this.frames.style.blockSize = "0";
      return;
    }
    this.#drawn = layout(focus);
    const deepest = this.#drawn.reduce((most, { node }) => Math.max(most, node.depth), 0);
    this.frames.style.blockSize = `${(deepest + 1) * ROW}px`;
    this.frames.replaceChildren(...this.#drawn.map((placed) => this.#frame(placed, all)));
    const own = this.#drawn.find(({ node }) => node === focus);
    own.element.tabIndex = 0;
    this.#tell(focus);
    if (hadFocus) own.element.focus();
  }

  #frame(placed, all) {
    const { node, left, width } = placed;
    const label = clean(node.name, 200);
    const element = button(label, () => this.#show(node), {
      class: `frame ${node.kind}`, tabindex: "-1",
      "aria-label": `${label}, ${count(node.value)} goroutines, ${percent(node.value / all)}, level ${node.depth}`,
    });
    element.style.insetInlineStart = `${left * 100}%`;
    element.style.inlineSize = `${width * 100}%`;
    element.style.insetBlockStart = `${node.depth * ROW}px`;
    element.addEventListener("focus", () => this.#tell(node));
    element.addEventListener("pointerenter", () => this.#tell(node));
    placed.element = element;
    return element;
  }

  #tell(node) {
    const part = percent(node.value / this.#root.value);
    put(this.detail, `${[clean(node.name, 400), clean(node.at, 120)].join(" ").trim()}: ${count(node.value)} of ${count(this.#root.value)} goroutines, ${part}`);
  }

  #key(event) {
    const here = this.#drawn.find(({ element }) => element === document.activeElement);
    if (!here || event.altKey || event.ctrlKey || event.metaKey) return;
    const row = this.#drawn.filter(({ node }) => node.depth === here.node.depth);
    const at = row.indexOf(here);
    const to = {
      ArrowUp: () => this.#drawn.find(({ node }) => node === here.node.above),
      ArrowDown: () => this.#drawn.find(({ node }) => node.above === here.node),
      ArrowLeft: () => row[at - 1],
      ArrowRight: () => row[at + 1],
      Home: () => this.#drawn[0],
    }[event.key];
    if (event.key === "Escape") this.#show(this.#root);
    else if (!to) return;
    event.preventDefault();
    const next = to?.();
    if (!next) return;
    here.element.tabIndex = -1;
    next.element.tabIndex = 0;
    next.element.focus();
  }
}
