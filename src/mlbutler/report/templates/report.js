"use strict";
(() => {
  const UNITS = { kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, min: 60, h: 3600 };
  const number = (text) => {
    const found = text.replace(/\u2212/g, "-").replace(/,/g, "").match(/([-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?)\s*([A-Za-z]+)?/);
    return found ? parseFloat(found[1]) * (UNITS[found[2]] || 1) : NaN;
  };
  const compared = (a, b, down) => {
    if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b); // what is no number stays last
    return down ? b - a : a - b;
  };
  const sort = (table, index, numeric, head) => {
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = table.tBodies[0];
    const text = (row) => row.cells[index].textContent.trim();
    const sign = down ? -1 : 1;
    const words = new Intl.Collator(undefined, { numeric: true });
    const rows = Array.from(body.rows, (row) => [numeric ? number(text(row)) : text(row), row]);
    rows.sort(numeric ? (a, b) => compared(a[0], b[0], down) : (a, b) => sign * words.compare(a[0], b[0]));
    const sorted = document.createDocumentFragment(); // one by one: a call takes no hundred thousand arguments
    for (const [, row] of rows) sorted.append(row);
    body.append(sorted);
  };
  for (const table of document.querySelectorAll("table:not(.heat)")) {
    if (table.tBodies[0].rows.length < 2) continue;
    [...table.tHead.rows[0].cells].forEach((head, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, index, head.classList.contains("number"), head));
      head.append(button);
    });
  }
  for (const button of document.querySelectorAll("button.explore")) {
    if (!window.vegaEmbed) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const figure = button.closest("figure");
      const place = figure.querySelector(".drawn");
      const chart = JSON.parse(figure.querySelector("script").textContent);
      const nothing = { load: () => Promise.reject(new Error("no network")), sanitize: () => Promise.reject(new Error("no links")) };
      try {
        await window.vegaEmbed(place, chart, { ast: true, actions: false, renderer: "svg", loader: nothing });
        button.hidden = true;
      } catch (error) {
        button.textContent = "It cannot be shown interactively: " + error.message;
        button.disabled = true;
      }
    });
  }
})();
