// Runs that are picked in their list: all of a kind, a range, by the keyboard; said and counted.
(() => {
  "use strict";
  const form = document.getElementById("picked");
  if (!form) return;
  const boxes = () => [...form.elements].filter((element) => element.name === "runs");
  const KINDS = { all: () => true, none: () => false, ended: (box) => "ended" in box.dataset };
  let last = null; // the run that was picked last, or let go

  const tell = () => {
    const count = boxes().filter((box) => box.checked).length;
    form.querySelector("output").textContent = count ? `${count} picked` : "";
    form.toggleAttribute("data-some", count > 0);
    for (const button of form.querySelectorAll("[data-least]")) button.disabled = count < button.dataset.least;
  };
  // What stands between the last one and this becomes as the last one is.
  const picked = (box, isRange) => {
    const all = boxes();
    const from = all.findIndex((one) => one.value === last);
    if (isRange && from >= 0) {
      const to = all.indexOf(box);
      for (const one of all.slice(Math.min(from, to), Math.max(from, to) + 1)) one.checked = all[from].checked;
    }
    last = box.value;
    tell();
  };

  document.addEventListener("click", (event) => {
    const kind = event.target.closest("[data-pick]")?.dataset.pick;
    if (kind) {
      event.preventDefault();
      for (const box of boxes()) box.checked = KINDS[kind](box);
      tell();
    } else if (event.target.form === form && event.target.name === "runs") picked(event.target, event.shiftKey);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "x" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector("dialog[open]") || event.target.matches("input:not([type=checkbox]), select, textarea")) return;
    const box = document.activeElement.closest("tr")?.querySelector("[name=runs]");
    if (!box) return;
    event.preventDefault();
    if (!event.shiftKey) box.checked = !box.checked;
    picked(box, event.shiftKey);
  });
  document.addEventListener("htmx:after:swap", tell);

  for (const box of boxes()) box.checked = box.checked; // a person's choice from now on, not the page's
  tell();
})();
