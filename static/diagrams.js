// Diagrams in documents: each is drawn in a frame of its own origin; what cannot be stays as text.
(() => {
  "use strict";
  const frame = document.currentScript.dataset.frame;
  const MOST = 30; // frames on a page
  const LARGEST = 3000; // pixels
  const PATIENCE = 30000; // milliseconds that a frame that is seen may draw

  const fold = (figure, pre) => {
    const details = document.createElement("details");
    const summary = document.createElement("summary");
    summary.textContent = "Source";
    pre.before(details);
    details.append(summary, pre);
    figure.dataset.drawn = "true";
  };

  const draw = (figure, source) => {
    const pre = figure.querySelector("pre");
    const caption = figure.querySelector("figcaption");
    const inner = document.createElement("iframe");
    inner.setAttribute("sandbox", "allow-scripts");
    inner.setAttribute("referrerpolicy", "no-referrer");
    inner.title = "A drawing of the diagram";
    inner.loading = "lazy";
    inner.src = frame;
    let timer = 0;
    const end = (why) => {
      clearTimeout(timer);
      removeEventListener("message", hear);
      inner.remove();
      caption.textContent = `Mermaid diagram, which could not be drawn: ${why}`;
    };
    const hear = ({ source: from, data }) => {
      if (!figure.isConnected) removeEventListener("message", hear);
      if (from !== inner.contentWindow || !data) return;
      if (data.ready) {
        timer = setTimeout(end, PATIENCE, "it takes too long.");
        inner.contentWindow.postMessage({ source }, "*");
      } else if (typeof data.problem === "string") {
        end(data.problem);
      } else if (Number.isFinite(data.height)) {
        clearTimeout(timer);
        inner.style.height = `${Math.min(Math.max(data.height, 20), LARGEST)}px`;
        if (!figure.dataset.drawn) fold(figure, pre);
      }
    };
    addEventListener("message", hear);
    pre.before(inner);
  };

  const look = () => {
    const codes = document.querySelectorAll(".drawing:not([data-seen]) > pre > code.language-mermaid");
    for (const code of codes) {
      const figure = code.closest(".drawing");
      figure.dataset.seen = "true";
      if (document.querySelectorAll(".drawing iframe").length < MOST) draw(figure, code.textContent);
    }
  };
  new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
  look();
})();
