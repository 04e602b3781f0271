// Before the first paint: the theme that was chosen last, else the system's.
(() => {
  try {
    const chosen = localStorage.getItem("theme");
    if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
  } catch { /* storage is closed to pages from disk in some browsers */ }
  document.documentElement.classList.add("scripted");
})();
