// News: what ended while one looks elsewhere, for some seconds; in the title, as a run's counts, and on the desktop if allowed.
(() => {
  "use strict";
  const STAY = { well: 7000, ill: 14000 }; // milliseconds
  const toasts = document.getElementById("toasts");
  const title = document.title;
  let unseen = 0;

  const count = () => {
    const signs = document.getElementById("run-head")?.dataset.signs; // how the run's tasks stand
    document.title = (unseen ? `(${unseen}) ` : "") + (signs ? `${signs} — ` : "") + title;
  };
  const tell = (toast) => {
    toast.dataset.told = "true";
    const leave = () => setTimeout(() => toast.matches(":hover, :focus-within") ? leave() : toast.remove(), STAY[toast.dataset.kind]);
    leave();
    if (!document.hidden) return;
    unseen += 1;
    count();
    if (window.Notification?.permission !== "granted") return;
    const shown = new Notification(toast.querySelector("a").textContent, { body: toast.querySelector("p").textContent, tag: toast.id });
    shown.onclick = () => { window.focus(); toast.querySelector("a").click(); };
  };

  document.addEventListener("htmx:after:swap", () => {
    count();
    for (const toast of toasts.querySelectorAll(".toast:not([data-told])")) tell(toast);
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) { unseen = 0; count(); } });

  count();

  // Whether the desktop may be told is asked when a person wants it, not before.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-notify]");
    if (!button || !window.Notification) return;
    const answer = await Notification.requestPermission();
    button.textContent = answer === "granted" ? "The desktop is told" : "The browser does not allow it";
  });
})();
