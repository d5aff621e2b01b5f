// Times: the page carries UTC and the server's clock; people read their own.
(() => {
  "use strict";
  const $$ = (selector) => document.querySelectorAll(selector);
  const LEAST = 2000; // milliseconds that two clocks may differ without a word of it
  const long = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
  const hour = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
  const today = () => new Date().toDateString();
  let day = today();
  let offset = 0; // of the server's clock from the reader's

  const hear = (said) => {
    const found = Date.parse(said) - Date.now();
    if (Math.abs(found - offset) > LEAST) offset = Math.abs(found) > LEAST ? found : 0;
  };
  const localise = (selector) => {
    for (const element of $$(selector)) {
      const at = new Date(element.dateTime);
      const isToday = at.toDateString() === day;
      element.textContent = (element.dataset.clock === "" ? hour : "clock" in element.dataset ? clock : isToday ? clock : long).format(at);
      element.title = element.dateTime;
      element.dataset.local = "true";
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
      const since = Date.now() + offset - new Date(element.dataset.since);
      element.textContent = span(Math.max(0, Math.floor(since / 1000)));
    }
    if (day === today()) return;
    day = today(); // what was today's needs its day now
    localise("time[data-local]");
  }, 1000);

  document.addEventListener("htmx:after:request", (event) => hear(event.detail.ctx.response.headers.get("Date")));
  document.addEventListener("htmx:after:swap", () => localise("time:not([title])"));
  hear(document.documentElement.dataset.now);
  localise("time:not([title])");
})();
