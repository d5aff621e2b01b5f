// What comes back: answers of ours are shown; of others' (a proxy's, a login's) and of none a person is told.
(() => {
  "use strict";
  const lost = document.getElementById("lost");
  const notice = document.getElementById("notice");
  const UNREACHED = "That did not reach the server. Try it again in a moment.";
  const LATE = "The server did not answer in time: look whether it was done before you try it again.";

  // Which of the sentences in #lost is shown; "": none.
  const say = (which) => {
    for (const text of lost.children) text.hidden = text.dataset.lost !== which;
    lost.hidden = !which;
  };
  const isOurs = (response) => response.headers.has("HX-Hut") && (response.status < 400 || response.headers.has("HX-Retarget"));
  const wantsLogin = (response) => !response.headers.has("HX-Hut") && (response.status < 400 || [401, 403].includes(response.status));

  // A page asks by itself; what a person did and came to nothing is said where it will be seen.
  const isPersons = (ctx) => ctx.request?.method !== "GET" || ctx.sourceEvent?.isTrusted || ctx.target?.id === "question";
  const miss = (ctx, text) => {
    const source = ctx.sourceElement;
    if (source?.matches?.("[data-fold]")) { // a group whose rows did not come is closed, and asks again when it is opened
      source.ariaExpanded = "false";
      document.getElementById(source.getAttribute("aria-controls"))?.setAttribute("hidden", "");
    }
    if (!isPersons(ctx)) return;
    const said = document.createElement("div");
    said.className = "notice bad";
    said.dataset.missed = "true";
    said.append(document.createElement("p"));
    said.firstChild.textContent = text;
    notice.replaceChildren(said);
    document.dispatchEvent(new Event("missed"));
  };

  document.addEventListener("htmx:after:request", (event) => {
    const { ctx } = event.detail;
    if (wantsLogin(ctx.response)) say("login");
    else say(ctx.response.status >= 500 || !isOurs(ctx.response) ? "server" : "");
    if (!isOurs(ctx.response)) {
      event.preventDefault(); // nothing of it is swapped in or followed
      miss(ctx, UNREACHED);
    } else if (isPersons(ctx)) notice.querySelector("[data-missed]")?.remove();
    if (isOurs(ctx.response) && ctx.request?.method === "POST") notice.replaceChildren();
  });
  document.addEventListener("htmx:error", (event) => {
    const { ctx } = event.detail;
    if (!ctx) return;
    say("server");
    miss(ctx, ctx.request?.signal?.reason === "timeout" ? LATE : UNREACHED);
  });

  // Rows that are there already are not asked for again.
  document.addEventListener("htmx:before:request", (event) => {
    const source = event.detail.ctx.sourceElement;
    const rows = source.matches?.("[data-fold]") && document.getElementById(source.getAttribute("aria-controls"));
    if (rows?.childElementCount) event.preventDefault();
  });
})();
