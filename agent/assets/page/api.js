// Asks the agent.

// Longer than any answer but a dump takes.
const PATIENCE = 15_000;
const PATIENCE_FOR_DUMPS = 60_000;

// The agent answered, and refused.
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function get(path, patience = PATIENCE) {
  const signal = AbortSignal.timeout(patience);
  // Relative: the page may be served below another path by a proxy.
  const answer = await fetch(`api/v1/${path}`, { signal, credentials: "same-origin" });
  if (answer.ok) return answer.json();
  let message = `status ${answer.status}`;
  try {
    message = (await answer.json()).error ?? message;
  } catch {
    // Not from the agent, but from something in between.
  }
  throw new Refused(answer.status, message);
}

export const processes = () => get("processes");
export const leaks = () => get("leaks");
export const sites = (pid) => get(`processes/${pid}/sites`);
export const series = (pid) => get(`processes/${pid}/series`);
export const stacks = (pid) => get(`processes/${pid}/stacks`, PATIENCE_FOR_DUMPS);
