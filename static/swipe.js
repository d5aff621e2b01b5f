// Two pictures, one above the other: a slider says how much is shown of each.
document.addEventListener("input", (event) => {
  const slider = event.target.closest("[data-swipe]");
  if (slider) slider.closest(".swipe").style.setProperty("--at", `${slider.value}%`);
});
