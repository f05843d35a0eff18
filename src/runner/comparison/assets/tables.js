"use strict";

// Tables: a click on a heading sorts, numbers first from the highest.
for (const heading of document.querySelectorAll(".sortable thead th")) {
  heading.tabIndex = 0;
  const sort = () => {
    const body = heading.closest("table").tBodies[0];
    const column = heading.cellIndex;
    const cells = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
    const number = (text) => parseFloat(text.replace("<", ""));
    const descending = heading.ariaSort !== "descending" && heading.classList.contains("number")
      || heading.ariaSort === "ascending";
    const order = (a, b) => {
      const [x, y] = [cells(a), cells(b)];
      const [m, n] = [number(x), number(y)];
      if (isNaN(m) || isNaN(n)) return isNaN(m) - isNaN(n) || x.localeCompare(y) * (descending ? -1 : 1);
      return descending ? n - m : m - n;
    };
    body.append(...[...body.rows].sort(order));
    for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
    heading.ariaSort = descending ? "descending" : "ascending";
  };
  heading.addEventListener("click", sort);
  heading.addEventListener("keydown", (event) => event.key === "Enter" && sort());
}
