// Times and numbers in words.

// Returns `ms` with the digits that matter: 0.62 ms, 3.9 ms, 5,044 ms.
export function milliseconds(ms) {
  const digits = ms < 1 ? 2 : ms < 10 ? 1 : 0;
  return `${ms.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })} ms`;
}

// Returns a time that may be long: 3.9 ms, 5.04 s, 12 min.
export function duration(ms) {
  if (Math.abs(ms) < 1000) return milliseconds(ms);
  return Math.abs(ms) < 600_000 ? `${(ms / 1000).toFixed(2)} s` : `${Math.round(ms / 60_000).toLocaleString("en")} min`;
}

// Returns whole seconds as a time that is left: 42 s, 9 min 30 s, 2 h.
export function timeLeft(seconds) {
  if (seconds < 100) return `${seconds} s`;
  if (seconds < 6000) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h`;
}

// Returns how many times: 1,293 or 3.4.
export function times(ratio) {
  return ratio < 10 ? ratio.toFixed(1) : Math.round(ratio).toLocaleString("en");
}
