// What HTML cannot do by itself: folds, users' HTML, copies.
(() => {
  "use strict";
  const $$ = (selector, root = document) => root.querySelectorAll(selector);

  // What is wider than its place is scrolled by keys too.
  const sizes = new ResizeObserver((seen) => {
    for (const wide of seen.flatMap(({ target }) => [...$$("table, pre", target)])) {
      if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
      else wide.removeAttribute("tabindex");
    }
  });

  // On a phone the navigation goes on to the side: the page that is open is in sight there.
  const entry = document.querySelector(".top nav [aria-current]");
  const bar = entry?.parentElement;
  if (bar && bar.scrollWidth > bar.clientWidth) bar.scrollLeft = entry.offsetLeft - bar.offsetLeft - (bar.clientWidth - entry.offsetWidth) / 2;

  // HTML that a user wrote never stands in a page or fragment as markup: it comes as text.
  customElements.define("hut-html", class extends HTMLElement {
    static observedAttributes = ["data-html"];
    attributeChangedCallback(_name, before, now) {
      if (before === now) return;
      const open = [...$$("details", this)].map((details) => details.open);
      this.innerHTML = now;
      for (const link of $$("a:not([href], [id], [name])", this)) link.title ||= "This address is not followed from here";
      sizes.unobserve(this);
      sizes.observe(this);  // which is told once at least: what it holds is new
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

  // A button copies the text of what it names, or the address that is its value. A page that came by plain
  // HTTP has no clipboard: the text is selected for a person to copy.
  const select = (element, text) => {
    const field = element ?? document.body.appendChild(Object.assign(document.createElement("output"), { textContent: text }));
    getSelection().selectAllChildren(field);
    const isDone = document.execCommand("copy");
    if (!element) field.remove();
    return isDone;
  };
  const copy = async (element, text) => {
    if (!navigator.clipboard) return select(element, text);
    await navigator.clipboard.writeText(text);
    return true;
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const named = button.dataset.copy ? document.querySelector(button.dataset.copy) : null;
    const isDone = await copy(named, named ? named.innerText : new URL(button.value, location).href);
    if (isDone) button.dataset.done = "true";
  });

  // A picture that is not there is said to be, and a link that the sanitiser closed is said to lead nowhere.
  document.addEventListener("error", (event) => {
    const picture = event.target;
    if (!picture.matches?.("hut-html img") || picture.hidden) return;
    const name = decodeURIComponent(picture.src.split("/").pop());
    const said = Object.assign(document.createElement("span"), { className: "missing" });
    said.textContent = `${picture.alt ? `${picture.alt}: ` : ""}${name} is not among the task's files`;
    picture.hidden = true;
    picture.after(said);
  }, true);

  // The task of the open panel is marked among the others.
  const mark = () => {
    for (const link of $$("#task-view td a[href]")) {
      link.ariaCurrent = link.pathname === location.pathname ? "true" : null;
    }
  };
  document.addEventListener("htmx:after:swap", mark);

  mark();
  document.addEventListener("DOMContentLoaded", refold);
})();
