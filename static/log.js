// Logs: one follows its end while the reader is there, can be paused, and shows the line asked for.
(() => {
  "use strict";
  const MOST = 5000; // lines that an open page keeps
  const $ = (selector) => document.querySelector(selector);
  const atEnd = (log) => log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  let isPinned = true;

  const settle = () => {
    const log = $("#log");
    if (!log) return;
    const lines = $("#log-lines");
    while (lines && lines.childElementCount > MOST) lines.firstElementChild.remove();
    const marked = log.dataset.seen ? null : log.querySelector(".is-marked");
    if (marked) log.scrollTop = marked.offsetTop - log.offsetTop - log.clientHeight / 3;
    else if ("pin" in log.dataset && (!log.dataset.seen || isPinned)) log.scrollTop = log.scrollHeight;
    log.dataset.seen = "true";
  };

  // Paused: nothing is asked and nothing moves, until it goes on.
  const isPaused = () => $("[data-pause]")?.ariaPressed === "true";
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-pause]");
    if (!button) return;
    button.ariaPressed = String(!isPaused());
    button.textContent = isPaused() ? "Go on" : "Pause";
  });
  document.addEventListener("htmx:before:request", (event) => {
    if (event.detail.ctx.sourceElement.id === "log-poll" && isPaused()) event.preventDefault();
  });

  document.addEventListener("htmx:before:swap", () => {
    const log = $("#log[data-pin]");
    isPinned = !log || atEnd(log);
  });
  document.addEventListener("htmx:after:swap", settle);
  settle();
})();
