// Inside the frame, in an origin of its own: draws the one diagram that the page around it sends.
(() => {
  "use strict";
  const say = (message) => parent.postMessage(message, "*");
  const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
  mermaid.initialize({
    startOnLoad: false,
    securityLevel: "strict",
    suppressErrorRendering: true,
    theme: isDark ? "dark" : "default",
    fontFamily: "system-ui, sans-serif",
    maxTextSize: 30000,
    maxEdges: 600,
  });
  const place = document.getElementById("place");
  addEventListener("message", async ({ source, data }) => {
    if (source !== parent || typeof data?.source !== "string") return;
    try {
      const { svg } = await mermaid.render("drawn", data.source);
      place.innerHTML = svg;
      new ResizeObserver(() => say({ height: place.scrollHeight })).observe(place);
    } catch (error) {
      say({ problem: String(error?.message ?? error).slice(0, 300) });
    }
  });
  say({ ready: true });
})();
