// Sorting: every column head of a table marked data-sortable becomes a button; ascending, descending, as it was.
(() => {
  "use strict";
  // What a cell is sorted by: its figure if it has one, else its words; nothing for a cell without either.
  const keyOf = (cell) => {
    if (!cell || cell.querySelector(".none:only-child")) return null;
    return "sort" in cell.dataset ? Number(cell.dataset.sort) : cell.textContent.trim();
  };

  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });

  for (const table of document.querySelectorAll("table[data-sortable]")) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const heads = [...table.tHead.rows[0].cells];
    if (rows.length < 2) continue;

    const sort = (column, order) => {
      const keyed = rows.map((row) => [keyOf(row.cells[column]), row]);
      if (order !== "none") {
        const sign = order === "ascending" ? 1 : -1;
        // Cells without a figure stay at the end either way.
        keyed.sort(([a], [b]) => (a === null) - (b === null) || (a === null ? 0 : sign * compare(a, b)));
      }
      body.append(...keyed.map(([, row]) => row));
      heads.forEach((head, place) => {
        if (place === column && order !== "none") head.setAttribute("aria-sort", order);
        else head.removeAttribute("aria-sort");
      });
    };

    const next = { none: "ascending", ascending: "descending", descending: "none" };
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(column, next[head.getAttribute("aria-sort") || "none"]));
    });

    // Where a narrow screen shows the rows as cards, the heads are out of sight: a list stands in for them.
    if (table.classList.contains("cards")) {
      const label = document.createElement("label");
      label.className = "sort-list";
      const list = document.createElement("select");
      list.append(new Option("as measured", "0 none"));
      heads.forEach((head, column) => {
        const name = head.textContent.trim();
        list.append(new Option(name + ", lowest first", column + " ascending"));
        list.append(new Option(name + ", highest first", column + " descending"));
      });
      list.addEventListener("change", () => {
        const [column, order] = list.value.split(" ");
        sort(Number(column), order);
      });
      label.append("Sort by ", list);
      table.parentElement.before(label);
    }
  }
})();
