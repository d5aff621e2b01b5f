// The graph: larger and smaller by buttons, keys and the wheel with Ctrl; dragged by its ground.
(() => {
  "use strict";
  const LEAST = 0.15, MOST = 3, STEP = 1.25;
  const $ = (selector) => document.querySelector(selector);
  let scale = 1;

  const zoom = (to, at) => {
    const graph = $("[data-graph]");
    const svg = graph.querySelector("svg");
    const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
    const old = svg.clientWidth / width;
    const point = at ?? { x: graph.clientWidth / 2, y: graph.clientHeight / 2 };
    scale = Math.min(Math.max(to === "fit" ? Math.min(1, graph.clientWidth / width, Math.max(320, innerHeight * 0.74) / height) : to, LEAST), MOST);
    svg.setAttribute("width", width * scale);
    svg.setAttribute("height", height * scale);
    graph.scrollLeft = (graph.scrollLeft + point.x) * (scale / old) - point.x;
    graph.scrollTop = (graph.scrollTop + point.y) * (scale / old) - point.y;
  };
  const BY = { in: () => scale * STEP, out: () => scale / STEP, fit: () => "fit" };
  const KEYS = { "+": "in", "=": "in", "-": "out", 0: "fit" };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-zoom]");
    if (button) zoom(BY[button.dataset.zoom]());
  });
  document.addEventListener("keydown", (event) => {
    const asks = event.target.closest("[data-graph]") && !event.ctrlKey && !event.metaKey && KEYS[event.key];
    if (asks) { event.preventDefault(); zoom(BY[asks]()); }
  });
  document.addEventListener("wheel", (event) => {
    const graph = event.target.closest("[data-graph]");
    if (!graph || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    const box = graph.getBoundingClientRect();
    zoom(BY[event.deltaY < 0 ? "in" : "out"](), { x: event.clientX - box.x, y: event.clientY - box.y });
  }, { passive: false });
  document.addEventListener("pointerdown", (event) => {
    const graph = event.target.closest("[data-graph]");
    if (!graph || event.pointerType !== "mouse" || event.target.closest("a")) return;
    const drag = (move) => graph.scrollBy(-move.movementX, -move.movementY);
    document.addEventListener("pointermove", drag);
    document.addEventListener("pointerup", () => document.removeEventListener("pointermove", drag), { once: true });
  });

  // A drawing that has just come fits, if it can be read then.
  const settle = () => {
    const graph = $("[data-graph]:not([data-seen])");
    if (!graph) return;
    graph.dataset.seen = "true";
    scale = 1;
    zoom("fit");
    if (scale < 0.75) zoom(0.75, { x: 0, y: 0 });
  };
  document.addEventListener("htmx:after:swap", settle);
  settle();
})();
