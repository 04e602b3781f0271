"use strict";

const root = document.documentElement;
const say = (text) => { document.querySelector(".status").textContent = text; };

// Light and dark
const toggle = document.querySelector("[data-theme-toggle]");
const dark = () => (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const frames = [...document.querySelectorAll("iframe")];
const tellTheme = (frame) => frame.contentWindow?.postMessage({ theme: dark() ? "dark" : "light" }, "*");
const nameToggle = () => {
  toggle.textContent = dark() ? "Light" : "Dark";
  frames.forEach(tellTheme);
};
toggle.hidden = false;
toggle.addEventListener("click", () => {
  root.dataset.theme = dark() ? "light" : "dark";
  try { localStorage.setItem("theme", root.dataset.theme); } catch { /* see theme.js */ }
  nameToggle();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", nameToggle);
nameToggle();

// On a phone the pages are one line that scrolls: begin where this page's name stands
const here = document.querySelector(".bar ul [aria-current]");
if (here) here.closest("ul").scrollLeft = here.offsetLeft - here.closest("ul").offsetLeft - 16;

// Exhibits say how tall they are, and hear which theme is shown
addEventListener("message", (event) => {
  const frame = frames.find((one) => one.contentWindow === event.source);
  const height = Number(event.data?.exhibitHeight);
  if (!frame || !(height > 0)) return;
  const wanted = `${Math.min(Math.max(height + 2, 120), 2400)}px`;
  if (frame.style.height === wanted) return; // an exhibit answers the theme with its height: nothing new ends the talk
  frame.style.height = wanted;
  tellTheme(frame);
});

// Copying; pages from disk may have no clipboard, so there is the old way too
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = Object.assign(document.createElement("textarea"), { value: text });
    area.style.position = "fixed";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
for (const button of document.querySelectorAll(".copy")) {
  button.hidden = false;
  const label = button.innerHTML;
  button.addEventListener("click", async () => {
    const done = await copy(button.dataset.copy);
    button.textContent = done ? "Copied" : "Select and copy by hand";
    say(done ? "Copied to the clipboard" : "Copying is not possible here");
    setTimeout(() => { button.innerHTML = label; }, 1600);
  });
}

// Claims: filter and sort
for (const block of document.querySelectorAll("[data-claims]")) {
  const form = block.querySelector("form");
  const table = block.querySelector("table");
  const claims = [...table.tBodies];
  form.hidden = claims.length < 4;
  form.addEventListener("submit", (event) => event.preventDefault());
  const filter = () => {
    const wanted = new FormData(form);
    const words = (wanted.get("text") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const claim of claims) {
      const text = claim.textContent.toLowerCase();
      const fits = words.every((word) => text.includes(word))
        && (!wanted.get("paper") || claim.dataset.paper === wanted.get("paper"))
        && (!wanted.get("verdict") || (wanted.get("verdict") === "judged" ? claim.dataset.verdict !== "not tested" : claim.dataset.verdict === wanted.get("verdict")))
        && (!wanted.get("primary") || claim.dataset.primary === "true");
      claim.hidden = !fits;
      shown += fits;
    }
    form.querySelector("output").textContent = `${shown} of ${claims.length} claims`;
  };
  form.addEventListener("input", filter);
  if (claims.every((claim) => claim.dataset.verdict === "not tested")) form.elements.verdict.value = "";
  filter();
  addEventListener("beforeprint", () => { for (const claim of claims) claim.hidden = false; });
  addEventListener("afterprint", filter);

  const value = (claim, key) => {
    if (key === "claim") return claim.querySelector(".statement").textContent.toLowerCase();
    const text = claim.dataset[key === "verdict" ? "order" : key];
    return text === "" ? Infinity : Number(text);
  };
  for (const head of table.querySelectorAll("th[data-sort]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const direction = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      for (const other of table.querySelectorAll("th[data-sort]")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
      const key = head.dataset.sort;
      const sorted = [...claims].sort((a, b) => {
        const [x, y] = [value(a, key), value(b, key)];
        if (x === Infinity || y === Infinity) return (x === Infinity) - (y === Infinity);
        return direction * (x < y ? -1 : x > y ? 1 : 0);
      });
      table.append(...sorted);
      say(`Sorted by ${button.textContent}, ${direction > 0 ? "ascending" : "descending"}`);
    });
  }
}

// A link to a claim opens its details, and the page stays at it while exhibits and pictures above take their heights
let target = null;
const goToTarget = () => target?.scrollIntoView({ behavior: "instant" });
function open() {
  target = location.hash.length > 1 ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
  if (!target) return;
  target.hidden = false;
  const fold = target.closest("details.fold:not([open])");
  if (fold) {
    fold.open = true;
    target.scrollIntoView();
  }
  target.querySelector("[data-more]")?.setAttribute("open", "");
  goToTarget();
}
for (const event of ["wheel", "touchmove", "pointerdown", "keydown"]) {
  addEventListener(event, () => { target = null; }, { passive: true, capture: true }); // from here the reader scrolls
}
new ResizeObserver(goToTarget).observe(document.body);
addEventListener("hashchange", open);
open();

// Print has no details to open: a paper's page prints all its evidence, the opening page the names of all claims
const reopen = [];
addEventListener("beforeprint", () => {
  reopen.push(...document.querySelectorAll(".paper details[data-more]:not([open]), .all-claims:not([open])"));
  for (const more of reopen) more.open = true;
});
addEventListener("afterprint", () => { for (const more of reopen.splice(0)) more.open = false; });
