// Whoever goes by keyboard stays where they were: what is swapped while it has the focus gets it back.
(() => {
  "use strict";
  const $ = (selector) => document.querySelector(selector);
  const at = new WeakMap(); // a request -> how to find what had the focus

  const rowOf = (task) => task && $(`#task-${task} a[href]`);
  const find = ({ id, href, task }) => {
    const links = href ? [...document.querySelectorAll("#panel a[href], main a[href]")] : [];
    return (id && document.getElementById(id)) || links.find((link) => link.getAttribute("href") === href) || rowOf(task);
  };

  document.addEventListener("htmx:before:swap", (event) => {
    const { ctx } = event.detail;
    const active = document.activeElement;
    if (!active || active === document.body || !ctx.target?.contains(active)) return;
    const isClosing = active.matches(".close");
    const task = active.closest("#panel")?.querySelector("[name=task]")?.value;
    at.set(ctx, { id: active.id, href: isClosing ? null : active.getAttribute("href"), task });
  });
  document.addEventListener("htmx:after:swap", (event) => {
    const had = at.get(event.detail.ctx);
    if (had && document.activeElement === document.body) find(had)?.focus({ preventScroll: true });
  });
})();
