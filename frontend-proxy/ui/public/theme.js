// Runs before the first paint, so that a dark page never flashes white. The policy forbids inline scripts.
(function () {
  var chosen = null;
  try {
    chosen = window.localStorage.getItem("keybearer.theme");
  } catch {
    // Storage is switched off: the system's theme it is.
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
