// The palette: / or Ctrl-K opens it, the server answers while one types, arrows choose, Enter goes.
(() => {
  "use strict";
  const palette = document.getElementById("palette");
  const input = palette.querySelector("input");
  const choices = () => [...palette.querySelectorAll("[role=option]")];
  let at = 0;
  let asked = null, listed = null; // the letters that the list is asked for, and those it answers
  let isGoing = false; // Enter was pressed before the list of what is typed had come

  const mark = () => {
    choices().forEach((choice, n) => { choice.ariaSelected = String(n === at); });
    const chosen = choices()[at];
    input.setAttribute("aria-activedescendant", chosen?.id ?? "");
    chosen?.scrollIntoView({ block: "nearest" });
  };
  const open = () => {
    palette.showModal();
    listed = null;
    isGoing = false;
    input.select();
    input.dispatchEvent(new Event("open"));
  };

  const go = () => {
    isGoing = false;
    palette.close();
    (choices()[at]?.querySelector("a, button") ?? choices()[at])?.click();
  };

  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.matches("input, select, textarea");
    const asks = (event.key === "k" && (event.ctrlKey || event.metaKey)) || (event.key === "/" && !isTyping);
    if (!asks || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    open();
  });
  input.addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by) at = Math.min(Math.max(at + by, 0), choices().length - 1);
    if (event.key === "Enter") {
      if (listed === input.value) go();
      else isGoing = true;
    }
    if (by || event.key === "Enter") event.preventDefault();
    if (by) mark();
  });
  input.addEventListener("input", () => { isGoing = false; });
  input.addEventListener("htmx:before:request", () => { asked = input.value; });
  palette.addEventListener("htmx:after:swap", () => {
    at = 0;
    listed = asked;
    mark();
    if (isGoing && listed === input.value) go();
  });
  document.addEventListener("click", (event) => { if (event.target.closest("[data-palette]")) open(); });
})();
