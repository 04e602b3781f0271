// Inside an exhibit: tell the report how tall the page is, and take the theme that the report shows.
(() => {
  if (parent === window) return;
  document.getElementById("way-back")?.remove();
  document.documentElement.dataset.framed = ""; // the report shows the title
  const tell = () => parent.postMessage({ exhibitHeight: Math.ceil(document.documentElement.getBoundingClientRect().height) }, "*");
  new ResizeObserver(tell).observe(document.documentElement);
  addEventListener("message", (event) => {
    if (event.source !== parent || !["light", "dark"].includes(event.data?.theme)) return;
    document.documentElement.dataset.theme = event.data.theme;
    tell(); // the report may not have listened before
  });
  tell();
})();
