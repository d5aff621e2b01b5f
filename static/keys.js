// The keyboard: a key clicks what carries it as data-key; j and k go through rows; ? tells them all.
(() => {
  "use strict";
  const ROWS = "#task-view tbody a[href]:not([data-ask]), #task-view .node, .runs .name, .needs .name, .queue tbody tr a:not([data-ask])";
  const INSTEAD = { n: "f" }; // without a next failure, the first
  const GO = { o: "overview", r: "runs", q: "queue", s: "sources", b: "backends", d: "disk", c: "settings" };
  const $$ = (selector) => [...document.querySelectorAll(selector)];
  const seen = (element) => element.checkVisibility();
  let before = "";

  const click = (key) => {
    const found = $$(`[data-key="${key}"]`).find(seen);
    if (found?.matches("input")) { found.focus(); found.select(); } else found?.click();
    return Boolean(found);
  };
  const step = (by) => {
    const rows = $$(ROWS).filter(seen);
    const now = rows.indexOf(document.activeElement);
    const at = now < 0 ? rows.findIndex((row) => row.ariaCurrent === "true") : now;
    const next = rows[Math.min(Math.max(at + by, 0), rows.length - 1)];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
  };
  const tab = (n) => { $$(".tabs a")[n - 1]?.click(); };
  const escape = () => {
    if (document.activeElement?.matches("input, select, textarea")) document.activeElement.blur();
    else $$("#panel .close").at(-1)?.click();
  };

  const act = (key) => {
    if (key === "j" || key === "ArrowDown") step(1);
    else if (key === "k" || key === "ArrowUp") step(-1);
    else if (key === "?") document.getElementById("keys").showModal();
    else if (key === "Escape") escape();
    else if (/^[1-9]$/.test(key)) tab(Number(key));
    else return click(key) || (key in INSTEAD && click(INSTEAD[key]));
    return true;
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const isTyping = event.target.matches("input, select, textarea, [contenteditable]");
    if (isTyping && event.key !== "Escape") return;
    if (event.key.startsWith("Arrow") && !event.target.matches(ROWS)) return;
    if (before === "g" && event.key in GO) document.querySelector(`[data-page="${GO[event.key]}"]`)?.click();
    else if (event.key !== "g" && act(event.key)) event.preventDefault();
    before = event.key;
  });

  // A task that was opened is to be seen in the table, and is where the next key goes on. Once: whoever
  // then scrolls away stays there while the page refreshes.
  const open = () => $$(ROWS).find((row) => row.ariaCurrent === "true");
  let shown;
  document.addEventListener("htmx:after:swap", () => {
    const row = open();
    if (row && row.pathname !== shown && document.activeElement === document.body) row.scrollIntoView({ block: "nearest" });
    shown = row?.pathname;
  });
  document.addEventListener("click", (event) => {
    const opens = event.target.closest("[data-opens]");
    if (opens) document.getElementById(opens.dataset.opens).showModal();
    const dialog = event.target.closest("[data-closes]")?.closest("dialog");
    (dialog ?? (event.target.matches("dialog") ? event.target : null))?.close();
  });
})();
