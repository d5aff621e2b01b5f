// The numbers beside a text that is edited follow its lines; without scripts they are those it came with.
(() => {
  "use strict";
  document.addEventListener("input", (event) => {
    const numbers = event.target.closest("[data-lines]")?.querySelector(".numbers");
    if (!numbers) return;
    const count = event.target.value.split("\n").length;
    while (numbers.childElementCount > count) numbers.lastElementChild.remove();
    while (numbers.childElementCount < count) {
      const line = document.createElement("span");
      line.textContent = numbers.childElementCount + 1;
      numbers.append(line);
    }
    event.target.rows = count + 1;
  });
})();
