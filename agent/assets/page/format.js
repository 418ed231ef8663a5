// Numbers as people read them.

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const UNKNOWN = "–";

function known(value) {
  return typeof value === "number" && Number.isFinite(value);
}

export function count(value) {
  return known(value) ? WHOLE.format(value) : UNKNOWN;
}

// With three digits at most.
export function rate(value) {
  if (!known(value)) return UNKNOWN;
  const size = Math.abs(value);
  if (size >= 100) return WHOLE.format(value);
  return value.toFixed(size >= 10 || size === 0 ? 0 : size >= 1 ? 1 : 2);
}

export function growth(value) {
  if (!known(value)) return UNKNOWN;
  if (Math.abs(value) < 0.05) return "0";
  return value > 0 ? `+${rate(value)}` : `−${rate(-value)}`;
}

// A delay, in the unit that suits it.
export function delay(seconds) {
  if (!known(seconds)) return UNKNOWN;
  for (const [unit, name] of [[1, "s"], [1e-3, "ms"], [1e-6, "µs"]]) {
    if (seconds >= unit) {
      const value = seconds / unit;
      return `${Number(value.toPrecision(3))} ${name}`;
    }
  }
  return seconds === 0 ? "0 s" : `${Math.round(seconds * 1e9)} ns`;
}

// A while: two units at most.
export function duration(seconds) {
  if (!known(seconds)) return UNKNOWN;
  const whole = Math.round(seconds);
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = parts.findIndex(([unit]) => whole >= unit);
  if (first < 0) return delay(seconds);
  const [unit, name] = parts[first];
  const [next, nextName] = parts[first + 1] ?? [];
  const rest = next ? Math.floor((whole % unit) / next) : 0;
  return `${Math.floor(whole / unit)} ${name}${rest ? ` ${rest} ${nextName}` : ""}`;
}

export function bytes(value) {
  if (!known(value)) return UNKNOWN;
  let [size, unit] = [value, 0];
  while (size >= 1024 && unit < 4) [size, unit] = [size / 1024, unit + 1];
  const digits = unit > 0 && size < 9.95 ? 1 : 0;
  return `${size.toFixed(digits)} ${["B", "KiB", "MiB", "GiB", "TiB"][unit]}`;
}

export function percent(part) {
  if (!known(part)) return UNKNOWN;
  const value = part * 100;
  return `${value >= 99.95 || value === 0 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value >= 0.01 ? value.toFixed(2) : "<0.01"} %`;
}

// A time of day, from seconds since the epoch or RFC 3339.
export function clock(time) {
  const date = typeof time === "number" ? new Date(time * 1000) : new Date(String(time));
  if (Number.isNaN(date.getTime())) return UNKNOWN;
  const today = date.toDateString() === new Date().toDateString();
  return today ? date.toLocaleTimeString() : date.toLocaleString();
}

// The last part of a path.
export function base(path) {
  return String(path ?? "").split("/").pop() || String(path ?? "");
}

export function plural(number, one, many) {
  return `${count(number)} ${number === 1 ? one : many}`;
}
