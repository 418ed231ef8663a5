// Which part of the page is shown: in the address, so that it can be kept and sent to others.

// {view: "all"}, {view: "process", pid}, or {view: "stacks", pid, site: {…}}.
export function read(hash = location.hash) {
  const [path, query] = hash.slice(1).split("?", 2);
  const [, pid, stacks] = /^\/process\/([0-9]{1,10})(\/stacks)?$/.exec(path) ?? [];
  if (pid === undefined) return { view: "all" };
  if (!stacks) return { view: "process", pid: Number(pid) };
  const named = new URLSearchParams(query ?? "");
  const of = (key) => named.get(key) ?? "";
  const site = { created_by: of("created_by"), location: of("location"), start: of("start") };
  return { view: "stacks", pid: Number(pid), site: site.created_by || site.start ? site : null };
}

export function toProcess(pid) {
  return `#/process/${pid}`;
}

export function toStacks(pid, site) {
  if (!site) return `#/process/${pid}/stacks`;
  const { created_by, location, start } = site;
  const query = new URLSearchParams({ created_by, location, start });
  return `#/process/${pid}/stacks?${query}`;
}
