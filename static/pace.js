// How often an open page asks: as its parts say, and less when it is not looked at or all is calm.
(() => {
  "use strict";
  const CALM = 30; // answers in a row without news, after which a page asks every third time
  const HIDDEN = 5; // of how many questions a page in the background asks one
  let quiet = 0, turn = 0;

  const every = () => (document.hidden ? HIDDEN : quiet >= CALM ? 3 : 1);
  const isPoll = (event) => event.detail.ctx.sourceElement.matches?.(':is(#live, #log-poll)[hx-trigger^="every"]');
  document.addEventListener("htmx:before:request", (event) => {
    if (!isPoll(event)) return;
    turn += 1;
    if (turn % every()) event.preventDefault();
  });
  document.addEventListener("htmx:after:request", (event) => {
    if (isPoll(event)) quiet = event.detail.ctx.response?.status === 204 ? quiet + 1 : 0;
  });
  for (const event of ["visibilitychange", "ordered"]) document.addEventListener(event, () => { quiet = 0; });
})();
