"use strict";
(() => {
  const WORDS = { 1: "good", 2: "doubtful", 3: "failed" };
  const STORE = "voltween marks of " + location.pathname;
  const element = (id) => document.getElementById(id);
  const table = element("pairs");
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells];
  const markColumn = [...body.rows].length ? body.rows[0].querySelector(".mark").cellIndex : 0;
  const rows = [...body.rows].map((row) => ({
    row,
    version: row.dataset.version,
    grade: row.dataset.grade,
    method: row.dataset.method,
    text: row.textContent.toLowerCase(),
  }));
  const byElement = new Map(rows.map((each) => [each.row, each]));
  let order = rows;
  let current = null;
  let marks = readMarks();

  function readMarks() {
    try {
      const stored = JSON.parse(localStorage.getItem(STORE)) || {};
      return Object.fromEntries(Object.entries(stored).filter(([, mark]) => mark in WORDS));
    } catch {
      return {};
    }
  }

  function keepMarks() {
    try {
      localStorage.setItem(STORE, JSON.stringify(marks));
    } catch {
      element("marked").textContent = "This browser keeps no marks: export them before you close the page.";
    }
  }

  // Sorting: text by the reader's language, numbers with missing ones last.
  function sortBy(column) {
    const heading = headings[column];
    const isUp = heading.getAttribute("aria-sort") !== "ascending";
    const isNumber = heading.dataset.sort === "number";
    const collator = new Intl.Collator(undefined, { numeric: true });
    const keyed = rows.map((each) => {
      const cell = each.row.cells[column];
      const value = isNumber ? parseFloat(cell.dataset.value) : cell.textContent;
      return { each, value };
    });
    const sign = isUp ? 1 : -1;
    const isMissing = ({ value }) => (isNumber ? Number.isNaN(value) : value === "");
    keyed.sort((a, b) => {
      if (isMissing(a) || isMissing(b)) return isMissing(a) - isMissing(b);
      return sign * (isNumber ? a.value - b.value : collator.compare(a.value, b.value));
    });
    order = keyed.map(({ each }) => each);
    body.append(...order.map(({ row }) => row));
    for (const other of headings) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", isUp ? "ascending" : "descending");
  }

  function chosen(id) {
    return element(id) ? element(id).value : "";
  }

  function filter() {
    const words = chosen("find").toLowerCase().split(/\s+/).filter(Boolean);
    const [verdict, method, mark] = ["verdicts", "methods", "marks-shown"].map(chosen);
    let count = 0;
    for (const each of rows) {
      const isShown =
        (!verdict || each.grade === verdict) &&
        (!method || each.method === method) &&
        (!mark || (WORDS[marks[each.version]] || "none") === mark) &&
        words.every((word) => each.text.includes(word));
      each.row.hidden = !isShown;
      count += isShown;
    }
    element("shown").textContent = `${count} of ${rows.length} shown`;
  }

  function makeCurrent(each, isScrolled) {
    if (current) {
      current.row.removeAttribute("aria-current");
      current.row.tabIndex = -1;
    }
    current = each;
    each.row.setAttribute("aria-current", "true");
    each.row.tabIndex = 0;
    if (isScrolled) {
      each.row.focus({ preventScroll: true });
      each.row.scrollIntoView({ block: "nearest" });
    }
    showCurrent();
  }

  function showCurrent() {
    const mark = current && WORDS[marks[current.version]];
    element("current").textContent = current
      ? current.row.dataset.name + (mark ? `: ${mark}` : "")
      : "Choose a row to mark it";
    for (const button of document.querySelectorAll("[data-mark]")) {
      button.disabled = !current;
    }
  }

  function move(step) {
    const shown = order.filter(({ row }) => !row.hidden);
    if (!shown.length) return;
    const place = shown.indexOf(current);
    const next = place < 0 ? 0 : Math.min(Math.max(place + step, 0), shown.length - 1);
    makeCurrent(shown[next], true);
  }

  function mark(value) {
    if (!current) return;
    if (value in WORDS) marks[current.version] = value;
    else delete marks[current.version];
    showMark(current);
    showCurrent();
    countMarks();
    keepMarks();
  }

  function showMark(each) {
    const word = WORDS[marks[each.version]] || "";
    const cell = each.row.cells[markColumn];
    cell.textContent = word;
    cell.className = `mark ${word}`;
  }

  function countMarks() {
    const count = rows.filter(({ version }) => version in marks).length;
    element("marked").textContent = `${count} of ${rows.length} marked`;
  }

  // As `escaping.csv_cell`: a name that would be a formula gets an apostrophe.
  function csvCell(text) {
    const isFormula = /^'*[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text));
    return '"' + (isFormula ? "'" + text : text).replaceAll('"', '""') + '"';
  }

  function marksAsCsv() {
    const lines = [["fixed", "moving", "method", "verdict", "mark"]];
    for (const { row, version } of order) {
      const { fixed, moving, method, grade } = row.dataset;
      lines.push([fixed, moving, method, grade, WORDS[marks[version]] || ""]);
    }
    return lines.map((cells) => cells.map(csvCell).join(",") + "\r\n").join("");
  }

  function exportMarks() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([marksAsCsv()], { type: "text/csv" }));
    link.download = "marks.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  const KEYS = {
    j: () => move(1),
    ArrowDown: () => move(1),
    k: () => move(-1),
    ArrowUp: () => move(-1),
    "/": () => element("find").focus(),
    0: () => mark("0"),
    1: () => mark("1"),
    2: () => mark("2"),
    3: () => mark("3"),
    Enter: () => current && current.row.querySelector("td a")?.click(),
  };

  function onKey(event) {
    const isControl = event.target.closest("input, select, a, summary");
    const isPressed = event.target.closest("button") && event.key === "Enter";
    if (event.ctrlKey || event.metaKey || event.altKey || isPressed) return;
    if (event.key === "Escape" && isControl) event.target.blur();
    if (isControl || !Object.hasOwn(KEYS, event.key)) return;
    event.preventDefault();
    KEYS[event.key]();
  }

  // A link to a row that a filter hides shows all rows again.
  function followLink() {
    const each = byElement.get(element(location.hash.slice(1)));
    if (!each) return;
    if (each.row.hidden) {
      element("filters").reset();
      filter();
    }
    makeCurrent(each, true);
  }

  headings.forEach((heading, column) => {
    if (!heading.dataset.sort) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => sortBy(column));
  });
  element("filters").addEventListener("input", filter);
  element("filters").addEventListener("submit", (event) => event.preventDefault());
  body.addEventListener("click", (event) => {
    const each = byElement.get(event.target.closest("tr"));
    if (each && !event.target.closest("a")) makeCurrent(each, false);
  });
  element("marking").addEventListener("click", ({ target }) => {
    const button = target.closest("[data-mark]");
    if (button) mark(button.dataset.mark);
  });
  element("export").addEventListener("click", exportMarks);
  addEventListener("keydown", onKey);
  addEventListener("hashchange", followLink);
  rows.forEach(showMark);
  element("filters").hidden = element("marking").hidden = false;
  filter();
  countMarks();
  showCurrent();
  followLink();
})();
