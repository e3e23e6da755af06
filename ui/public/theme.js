// Before the first paint, so that a dark page never flashes white; state/theme.ts takes over.
(function () {
  var wanted = null;
  try {
    wanted = localStorage.getItem("runstore.theme");
  } catch (_) {
    // Storage may be switched off; the system's choice is then used.
  }
  var dark = wanted === "dark" || (wanted !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
})();
