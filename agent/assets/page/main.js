// The page: which part is shown, and whether what it shows is of now.

import * as api from "./api.js";
import { put } from "./dom.js";
import { Poll } from "./poll.js";
import { Process } from "./process.js";
import { Processes } from "./processes.js";
import { read } from "./route.js";
import { Stacks } from "./stacks.js";

const main = document.getElementById("main");
const state = document.getElementById("state");
const pause = document.getElementById("pause");
const theme = document.getElementById("theme");

let view = null;
let last = null;

function viewOf(route) {
  if (route.view === "process") return new Process(route.pid);
  if (route.view === "stacks") return new Stacks(route.pid, route.site);
  return new Processes();
}

function show() {
  // A link within the page, and no other part of it.
  if (location.hash && !location.hash.startsWith("#/")) return;
  const first = view === null;
  view = viewOf(read());
  main.replaceChildren(view.node);
  if (last) view.update(last);
  document.title = titled(view.title);
  // Who came by a link of the page goes on at the new part.
  if (!first) main.focus({ preventScroll: true });
  if (!first) scrollTo(0, 0);
  poll.now();
}

const titled = (title) => (title === "goroscope" ? title : `${title} – goroscope`);

async function refresh() {
  const shown = view;
  const [processes, leaks] = await Promise.all([api.processes(), api.leaks(), shown.refresh()]);
  last = { processes, leaks, at: Date.now() };
  if (shown !== view) return;
  view.update(last);
  document.title = titled(view.title);
}

// Says whether what is shown is of now: in words, and not again and again.
function told(error) {
  const words = error === null ? (poll.paused ? "Paused" : "Live") :
    error instanceof api.Refused ? `The agent refuses: ${error.message}` : "Disconnected: what is shown is old. Trying again…";
  put(state, words);
  state.dataset.state = error === null ? (poll.paused ? "paused" : "live") : "lost";
  document.body.classList.toggle("old", error !== null);
}

const poll = new Poll(refresh, told);

pause.addEventListener("click", () => {
  poll.paused = !poll.paused;
  pause.setAttribute("aria-pressed", String(poll.paused));
  if (poll.paused) told(null);
});

theme.value = document.documentElement.dataset.theme ?? "auto";
theme.addEventListener("change", () => {
  if (theme.value === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme.value;
  try {
    localStorage.setItem("goroscope-theme", theme.value);
  } catch {
    // No storage: it holds until the page is left.
  }
  repaint();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);

// Charts are painted, so that they must be painted again.
function repaint() {
  if (last) view.update(last);
}

addEventListener("hashchange", show);
show();
