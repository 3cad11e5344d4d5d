// Curves: the point under the pointer or the focus is read out below; the arrow keys go from point to point.
(() => {
  "use strict";
  for (const figure of document.querySelectorAll("figure.curve")) {
    const points = [...figure.querySelectorAll(".point")];
    const readout = figure.querySelector("output");
    const show = (point) => {
      for (const each of points) each.classList.toggle("shown", each === point);
      readout.textContent = point.getAttribute("aria-label");
    };
    points.forEach((point, place) => {
      point.setAttribute("tabindex", place ? "-1" : "0");
      point.addEventListener("pointerenter", () => show(point));
      point.addEventListener("focus", () => {
        for (const each of points) each.setAttribute("tabindex", each === point ? "0" : "-1");
        show(point);
      });
      point.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (!step) return;
        event.preventDefault();
        points[(place + step + points.length) % points.length].focus();
      });
    });
  }
})();
