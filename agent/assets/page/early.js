// Before anything is painted: the colours that were chosen the last time.
try {
  const theme = localStorage.getItem("goroscope-theme");
  if (theme === "light" || theme === "dark") {
    document.documentElement.dataset.theme = theme;
  }
} catch {
  // No storage: the system's colours.
}
