// What HTML cannot do by itself: local times, folds, users' HTML, lost answers.
(() => {
  "use strict";
  const $$ = (selector, root = document) => root.querySelectorAll(selector);

  // Times: the page carries UTC; people read their own.
  const long = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
  const hour = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
  const localise = (root) => {
    for (const element of $$("time:not([title])", root)) {
      const at = new Date(element.dateTime);
      const isToday = at.toDateString() === new Date().toDateString();
      element.textContent = ("clock" in element.dataset ? hour : isToday ? clock : long).format(at);
      element.title = element.dateTime;
    }
  };
  const UNITS = [[86400, "d", 3600, "h"], [3600, "h", 60, "m"], [60, "m", 1, "s"]];
  const span = (s) => {
    const [all, unit, part, name] = UNITS.find(([least]) => s >= least) ?? [1, "s"];
    const rest = part ? ` ${String(Math.floor((s % all) / part)).padStart(2, "0")}${name}` : "";
    return Math.floor(s / all) + unit + rest;
  };
  setInterval(() => {
    for (const element of $$("[data-since]")) {
      element.textContent = span(Math.max(0, Math.floor((Date.now() - new Date(element.dataset.since)) / 1000)));
    }
  }, 1000);

  // What is wider than its place is scrolled by keys too.
  const reach = (root) => {
    for (const wide of $$("table, pre", root)) if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
  };
  addEventListener("resize", () => { for (const part of $$("hut-html")) reach(part); });

  // HTML that a user wrote never stands in a page or fragment as markup: it comes as text.
  customElements.define("hut-html", class extends HTMLElement {
    static observedAttributes = ["data-html"];
    attributeChangedCallback(_name, before, now) {
      if (before === now) return;
      const open = [...$$("details", this)].map((details) => details.open);
      this.innerHTML = now;
      requestAnimationFrame(() => reach(this));
      if (before !== null) $$("details", this).forEach((d, i) => { d.open = open[i] ?? d.open; });
    }
  });

  // Groups of tasks fold; a page remembers how.
  const remembered = (button) => `fold ${button.dataset.fold}`;
  const fold = (button, isOpen) => {
    button.setAttribute("aria-expanded", String(isOpen));
    document.getElementById(button.getAttribute("aria-controls"))?.toggleAttribute("hidden", !isOpen);
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-fold]");
    if (!button) return;
    const isOpen = button.getAttribute("aria-expanded") !== "true";
    fold(button, isOpen);
    sessionStorage.setItem(remembered(button), isOpen ? "open" : "closed");
  });
  const refold = () => {
    for (const button of $$("[data-fold]")) {
      const wish = sessionStorage.getItem(remembered(button));
      if (wish && (wish === "open") !== (button.ariaExpanded === "true")) button.click();
    }
  };

  // A button copies the text of what it names, or the address that is its value.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    const named = button?.dataset.copy && document.querySelector(button.dataset.copy);
    if (button) await navigator.clipboard.writeText(named ? named.innerText : new URL(button.value, location).href);
    if (button) button.dataset.done = "true";
  });

  // The task of the open panel is marked among the others.
  const mark = () => {
    for (const link of $$("#task-view td a[href]")) {
      link.ariaCurrent = link.pathname === location.pathname ? "true" : null;
    }
  };
  const settle = () => { localise(document); mark(); };

  // An answer that is no fragment of ours (a proxy's page, say) must not land in the page.
  const say = (text) => { document.getElementById("lost").hidden = !text; };
  document.addEventListener("htmx:before:swap", (event) => {
    const { request, response } = event.detail.ctx;
    const isOurs = !response || response.status < 400 || response.headers.has("HX-Retarget");
    if (!isOurs) { say(true); event.preventDefault(); }
    if (request?.method === "POST") document.getElementById("notice").replaceChildren();
  });
  document.addEventListener("htmx:error", (event) => { if (event.detail.ctx) say(true); });
  document.addEventListener("htmx:after:request", (event) => say(event.detail.ctx.response.status >= 500));
  document.addEventListener("htmx:after:swap", settle);

  settle();
  document.addEventListener("DOMContentLoaded", refold);
})();
