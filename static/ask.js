// Questions before what costs computing: a link to one opens it as a dialog; without scripts it is a page.
(() => {
  "use strict";
  const dialog = document.getElementById("question");
  const isMine = (event) => dialog.contains(event.detail.ctx.sourceElement);

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-ask], button[data-ask]");
    if (!link || link.disabled || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    event.stopPropagation(); // a boosted link would be followed
    const where = link.href ?? `${link.form.action}?${new URLSearchParams(new FormData(link.form))}`;
    htmx.ajax("GET", where, { target: dialog, swap: "innerHTML", headers: { "HX-Target": "dialog#question" } });
  }, true);
  document.addEventListener("htmx:after:swap", (event) => {
    if (event.detail.ctx.target === dialog && !dialog.open) dialog.showModal();
  });
  document.addEventListener("htmx:after:request", (event) => { if (isMine(event)) dialog.close(); });
  document.addEventListener("missed", () => dialog.close()); // what is said of it stands on the page
})();
