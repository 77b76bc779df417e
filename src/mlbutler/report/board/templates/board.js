// The page of experiments where scripts run: a table, charts, and experiments side by side.
const byId = (id) => document.getElementById(id);
const make = (tag, properties = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
};
const SVG = "http://www.w3.org/2000/svg";

// ---------------------------------------------------------------------------------------------- what comes with the page

const unpacked = async (id) => {
  const text = atob(byId(id).textContent);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
};
const loaded = new Map(); // of libraries: each is run once, and the page's policy knows it by its hash
const library = (id) => {
  if (!loaded.has(id)) loaded.set(id, unpacked(id).then((text) => { document.head.append(make("script", { textContent: text })); }));
  return loaded.get(id);
};

// ------------------------------------------------------------------------------------------------------- what is kept

const Kept = (name) => {
  const key = `mlbutler board ${name}`; // a page from a file, or in a frame, may have no storage
  let now = {};
  try { now = JSON.parse(localStorage.getItem(key)) || {}; } catch { /* nothing is kept then */ }
  return {
    get: (what, otherwise) => (Object.hasOwn(now, what) ? now[what] : otherwise),
    set: (what, value) => {
      now[what] = value;
      try { localStorage.setItem(key, JSON.stringify(now)); } catch { /* this page alone knows */ }
    },
  };
};

// ------------------------------------------------------------------------------------------------------------ numbers

const MINUS = "\u2212";
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const typeset = (text) => text.replace(/^-/, MINUS).replace(/e([-+])/, (_, sign) => "e" + (sign === "-" ? MINUS : ""));
const format = (value) => {
  if (value === null || value === undefined) return "\u2014";
  if (!isNumber(value)) return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return typeset(String(value));
  const size = Math.abs(value);
  return typeset(size >= 1e5 && size < 1e9 ? value.toFixed(0) : String(Number(value.toPrecision(5))));
};
const signed = (value) => (value > 0 ? "+" : "") + format(Number(value.toPrecision(3)));
const when = (seconds) => (seconds ? new Date(seconds * 1000).toISOString() : "");

// ------------------------------------------------------------------------------------------------------- experiments

class Experiments {
  constructor(data) {
    Object.assign(this, data);
    this.count = this.rows.name.length;
    this.byKey = new Map(this.columns.map((column, index) => [column.key, index]));
    this.byLabel = new Map(this.columns.map((column, index) => [column.label.toLowerCase(), index]));
    this.constant = this.columns.map((_, c) => new Set(this.values[c].filter((value) => value !== null)).size < 2);
    this.numeric = this.columns.map((_, c) => this.values[c].some(isNumber));
    this.mainColumn = this.byKey.get(this.main) ?? this.columns.findIndex((column) => column.metric);
    this.search = new Array(this.count);
  }
  about(row) {
    const r = this.rows;
    return { kind: this.kinds[r.kind[row]], name: r.name[row], branch: this.branches[r.branch[row]], pull: r.pull[row],
      author: this.authors[r.author[row]], state: r.state[row], commit: r.commit[row], when: r.when[row], same: r.same[row] === 1 };
  }
  value(row, column) { return this.values[column][row]; }
  baseline(row) { const at = this.rows.baseline[row]; return at < 0 ? null : at; }
  links(row) { return (this.rows.links[row] || []).map(([word, address]) => [word, address.replace("{commit}", this.rows.commit[row])]); }
  curves(row) { return (this.rows.curves[row] || []).map(([name, at]) => ({ name: this.curveNames[name], x: this.xs[this.curveAxes[at]], y: this.ys[at] })); }
  called(row) { const { name, commit } = this.about(row); return name || commit.slice(0, 8); }
  // 1 for better, -1 for worse, 0 where nobody can say
  judged(column, difference) { const goal = this.columns[column].goal; return !goal || !difference ? 0 : (difference > 0) === (goal === "maximize") ? 1 : -1; }
  text(row) {
    if (this.search[row] === undefined) {
      const about = this.about(row);
      const values = this.columns.flatMap((column, c) => (typeof this.value(row, c) === "string" ? [this.value(row, c)] : []));
      this.search[row] = [about.name, about.branch, about.author, about.kind, about.commit, about.state, about.pull && `#${about.pull}`, ...values].join("\n").toLowerCase();
    }
    return this.search[row];
  }
  // The function that gets what a name in the filter means from a row.
  named(name, starred) {
    const wanted = name.toLowerCase();
    const column = this.byKey.get(name) ?? this.byLabel.get(wanted);
    if (column !== undefined) return (row) => this.value(row, column);
    const own = {
      name: (row) => this.rows.name[row], branch: (row) => this.about(row).branch, kind: (row) => this.about(row).kind,
      author: (row) => this.about(row).author, state: (row) => this.rows.state[row], commit: (row) => this.rows.commit[row],
      pr: (row) => Number(this.rows.pull[row]) || null, date: (row) => when(this.rows.when[row]), starred: (row) => starred(row),
    };
    if (Object.hasOwn(own, wanted)) return own[wanted];
    const ending = this.columns.flatMap((one, index) => (one.label.toLowerCase().endsWith(`.${wanted}`) ? [index] : []));
    if (ending.length === 1) return (row) => this.value(row, ending[0]);
    const known = [...this.columns.map((one) => one.label), ...Object.keys(own)];
    const near = ending.length ? ending.map((index) => this.columns[index].label) : known.filter((one) => isNear(one.toLowerCase(), wanted) || isNear(one.toLowerCase().split(".").at(-1), wanted));
    throw new Error(`There is no column '${name}'.` + (near.length ? ` Did you mean ${near.slice(0, 3).join(", ")}?` : ""));
  }
}
const isNear = (one, other) => Math.abs(one.length - other.length) < 4 && distance(one, other) <= Math.max(1, other.length / 3);
const distance = (one, other) => {
  let before = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let i = 1; i <= one.length; i++) {
    const now = [i];
    for (let j = 1; j <= other.length; j++) now[j] = Math.min(before[j] + 1, now[j - 1] + 1, before[j - 1] + (one[i - 1] === other[j - 1] ? 0 : 1));
    before = now;
  }
  return before[other.length];
};

// -------------------------------------------------------------------------------------------------------- sparklines

const sparkline = (ys, label) => {
  const shown = ys.filter(isNumber);
  if (shown.length < 2) return document.createTextNode("");
  const [low, high] = [Math.min(...shown), Math.max(...shown)];
  const width = 84, height = 20, pad = 2.5;
  const points = shown.map((y, at) => [pad + (at * (width - 2 * pad)) / (shown.length - 1), high === low ? height / 2 : height - pad - ((y - low) / (high - low)) * (height - 2 * pad)]);
  const svg = document.createElementNS(SVG, "svg");
  const attributes = { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", class: "spark", "aria-label": `${label}: ${shown.length} values from ${format(low)} to ${format(high)}, last ${format(shown.at(-1))}` };
  for (const [name, value] of Object.entries(attributes)) svg.setAttribute(name, value);
  const line = document.createElementNS(SVG, "polyline");
  line.setAttribute("points", points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" "));
  const dot = document.createElementNS(SVG, "circle");
  for (const [name, value] of Object.entries({ cx: points.at(-1)[0].toFixed(1), cy: points.at(-1)[1].toFixed(1), r: 2.2 })) dot.setAttribute(name, value);
  svg.append(line, dot);
  return svg;
};

// --------------------------------------------------------------------------------------------------------------- page

class Page {
  constructor(experiments) {
    this.all = experiments;
    this.kept = Kept(experiments.title);
    this.selected = new Set();
    this.stars = new Set(this.kept.get("stars", []));
    this.pinned = null;
    this.shown = [];
    this.columns = this.initialColumns();
    this.table = null;
    this.charts = new Charts(this);
  }
  starKey(row) { return this.all.rows.commit[row] || this.all.rows.name[row]; }
  isStarred(row) { return this.stars.has(this.starKey(row)); }
  against(row) { return this.pinned !== null ? (this.pinned === row ? null : this.pinned) : this.all.baseline(row); }

  initialColumns() {
    const kept = this.kept.get("columns", null);
    if (kept) return new Set(kept.filter((key) => this.all.byKey.has(key) || key.startsWith("curve:") || key === "trend"));
    const metrics = this.all.columns.filter((column, c) => column.metric && this.all.numeric[c]);
    const main = this.all.columns[this.all.mainColumn];
    const first = [...(main ? [main] : []), ...metrics.filter((column) => column !== main)].slice(0, 6);
    const params = this.all.columns.filter((column, c) => !column.metric && !this.all.constant[c]).slice(0, 5);
    const curves = this.all.curveNames.slice(0, 1).map((name) => `curve:${name}`);
    return new Set([...(main ? ["trend"] : []), ...first.map((column) => column.key), ...params.map((column) => column.key), ...curves]);
  }

  async start() {
    await library("table-library");
    this.filters();
    this.tabs();
    this.choose();
    this.filter();
    await this.draw();
    this.selection();
  }

  // ------------------------------------------------------------------------------------------------------- filters

  filters() {
    const kinds = byId("kind"), branches = byId("branch");
    this.all.kinds.forEach((kind, index) => kinds.append(make("option", { value: String(index), textContent: KINDS[kind] || kind })));
    this.all.branches.forEach((branch, index) => { if (branch) branches.append(make("option", { value: String(index), textContent: branch })); });
    let waiting = 0;
    byId("filter").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(() => this.filter(), 120); });
    for (const id of ["kind", "branch", "unchanged", "starred"]) byId(id).addEventListener("change", () => this.filter());
    byId("group").addEventListener("change", () => this.regroup());
    const unchanged = this.all.rows.same.filter(Boolean).length;
    byId("unchanged-count").textContent = ` (${unchanged})`;
    byId("unchanged").closest("label").hidden = unchanged === 0;
    byId("clear").addEventListener("click", () => { this.selected.clear(); this.pinned = null; this.redraw(); this.selection(); });
    byId("pin").addEventListener("click", () => { this.pinned = this.pinned === null ? [...this.selected][0] : null; this.redraw(); this.selection(); });
    byId("side-by-side").addEventListener("click", () => this.show("compare"));
    byId("overlay").addEventListener("click", () => { this.charts.kind = "curves"; this.show("charts"); });
  }
  condition() {
    const text = byId("filter").value.trim();
    const said = byId("filter-said");
    said.textContent = "";
    if (!text) return () => true;
    if (!Expression.looksLikeOne(text)) {
      const words = text.toLowerCase().split(/\s+/);
      return (row) => words.every((word) => this.all.text(row).includes(word));
    }
    try {
      return Expression.parse(text, (name) => this.all.named(name, (row) => this.isStarred(row)));
    } catch (error) {
      said.textContent = error.message;
      return null;
    }
  }
  filter() {
    const condition = this.condition();
    byId("filter").setAttribute("aria-invalid", condition ? "false" : "true");
    if (!condition) return;
    const { kind, branch } = this.all.rows;
    const [wantedKind, wantedBranch] = [byId("kind").value, byId("branch").value];
    const unchanged = byId("unchanged").checked, starred = byId("starred").checked;
    this.shown = [];
    this.mask = new Uint8Array(this.all.count);
    for (let row = 0; row < this.all.count; row++) {
      if (wantedKind && String(kind[row]) !== wantedKind) continue;
      if (wantedBranch && String(branch[row]) !== wantedBranch) continue;
      if (!unchanged && this.all.rows.same[row]) continue;
      if (starred && !this.isStarred(row)) continue;
      if (!condition(row)) continue;
      this.mask[row] = 1;
      this.shown.push(row);
    }
    const [shown, all] = [this.shown.length.toLocaleString("en"), this.all.count.toLocaleString("en")];
    byId("count").textContent = shown === all ? `${all} experiments` : `${shown} of ${all} experiments`;
    if (this.table) this.table.setFilter((data) => this.mask[data.i] === 1);
    this.charts.later();
  }

  // --------------------------------------------------------------------------------------------------------- table

  head(text, hint, sorted = true) {
    return () => {
      const node = sorted ? make("button", { type: "button", className: "sort", title: hint || text }) : make("span", { title: hint || text });
      node.append(make("span", { textContent: text }));
      return node;
    };
  }
  definitions() {
    const c = this.all.mainColumn;
    const text = (value, className, title = value) => make("span", { className, title, textContent: value });
    const fixed = [
      { field: "pick", width: 74, frozen: true, headerSort: false, resizable: false, titleFormatter: () => make("span", { className: "unseen", textContent: "Select, star" }), formatter: (cell) => this.pick(cell.getData().i) },
      { field: "name", minWidth: 120, width: innerWidth < 700 ? 132 : innerWidth < 1000 ? 200 : 290, frozen: true, titleFormatter: this.head("Experiment"), formatter: (cell) => this.nameCell(cell.getData().i), sorter: "alphanum" },
    ];
    const about = [
      { field: "branch", width: 124, titleFormatter: this.head("Branch"), formatter: (cell) => this.branchCell(cell.getData().i), sorter: "alphanum" },
      { field: "when", width: 106, titleFormatter: this.head("When", "Time of the commit, in UTC"), formatter: (cell) => text(when(cell.getValue()).slice(0, 10), "soft", when(cell.getValue())), sorter: "number" },
    ];
    const isMain = (column) => column === this.all.columns[c];
    const values = this.all.columns.flatMap((column, at) => (this.columns.has(column.key) ? [[column, at]] : []));
    const main = values.filter(([column]) => isMain(column)).map(([column, at]) => this.valueColumn(column, at));
    if (this.columns.has("trend") && c >= 0) {
      const { label } = this.all.columns[c];
      main.push(this.lineColumn("trend", "so far", `${label} on the same branch up to here`, (row) => this.past(row)));
    }
    const curves = this.all.curveNames.flatMap((name, at) => (this.columns.has(`curve:${name}`)
      ? [this.lineColumn(`k${at}`, this.all.curveLabels[at], `Training curve: ${name}`, (row) => this.all.curves(row).find((curve) => curve.name === name)?.y ?? [])] : []));
    const others = values.filter(([column]) => !isMain(column)).map(([column, at]) => this.valueColumn(column, at));
    return [...fixed, ...main, ...about, ...curves, ...others];
  }
  lineColumn(field, title, hint, ys) {
    return { field, width: Math.max(108, title.length * 9 + 24), headerSort: false, titleFormatter: this.head(title, hint, false), formatter: (cell) => sparkline(ys(cell.getData().i), hint) };
  }
  valueColumn(column, c) {
    const arrow = { maximize: " \u2191", minimize: " \u2193" }[column.goal] || "";
    const goal = { maximize: ", higher is better", minimize: ", lower is better" }[column.goal] || "";
    return { field: `c${c}`, minWidth: 76, width: Math.min(220, Math.max(100, (column.label + arrow).length * 9 + 26)), hozAlign: this.all.numeric[c] ? "right" : "left",
      cssClass: `${column.metric ? "metric" : "param"}${this.all.numeric[c] ? " numeric" : ""}`, titleFormatter: this.head(column.label + arrow, column.key + goal),
      formatter: (cell) => this.valueCell(cell.getData().i, c), sorter: (a, b, _one, _other, _column, way) => this.order(a, b, way), headerSortStartingDir: column.goal === "minimize" ? "asc" : "desc" };
  }
  order(a, b, way) {
    const [missingA, missingB] = [a === null || a === undefined, b === null || b === undefined];
    if (missingA || missingB) return missingA && missingB ? 0 : (missingA ? 1 : -1) * (way === "desc" ? -1 : 1);
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), undefined, { numeric: true });
  }
  // Only what is shown: most columns are not.
  data() {
    const shown = this.all.columns.flatMap((column, c) => (this.columns.has(column.key) ? [[`c${c}`, this.all.values[c]]] : []));
    const { name, branch, when } = this.all.rows;
    return Array.from({ length: this.all.count }, (_, i) => {
      const row = { i, name: name[i], branch: this.all.branches[branch[i]], when: when[i] };
      for (const [field, values] of shown) row[field] = values[i];
      return row;
    });
  }
  draw() {
    return new Promise((done) => {
      this.table = new globalThis.mlbutlerTable(byId("grid"), {
        data: this.data(), columns: this.definitions(), height: "100%", layout: "fitDataFill", index: "i", rowHeight: 46,
        renderVertical: "virtual", columnDefaults: { headerSortTristate: true },
        placeholder: () => make("p", { className: "soft", textContent: "No experiment fits the filter." }),
        groupHeader: (value, count) => make("span", {}, make("strong", { textContent: String(value) || "none" }), ` ${count}`), groupStartOpen: true,
        rowFormatter: (row) => row.getElement().classList.toggle("chosen", this.selected.has(row.getData().i)),
      });
      this.table.on("tableBuilt", () => { this.filter(); this.tidy(); done(); });
      this.table.on("dataSorted", () => this.tidy());
    });
  }
  // What the library leaves out for those who cannot see the table.
  tidy() {
    byId("grid").setAttribute("aria-label", "Experiments");
    // A grid may hold rows alone; what is focused inside scrolls it by the arrow keys all the same.
    byId("grid").querySelector(".tabulator-tableholder")?.removeAttribute("tabindex");
  }
  redraw() { this.table?.redraw(true); }
  regroup() {
    const by = { branch: (data) => data.branch || "no branch", kind: (data) => KINDS[this.all.about(data.i).kind], author: (data) => this.all.about(data.i).author || "nobody", baseline: (data) => { const at = this.all.baseline(data.i); return at === null ? "no baseline" : `on ${this.all.called(at)}`; } }[byId("group").value];
    this.table.setGroupBy(by || false);
  }
  pick(row) {
    const name = this.all.called(row);
    const box = make("input", { type: "checkbox", checked: this.selected.has(row), "aria-label": `Select ${name}` });
    box.addEventListener("change", () => {
      if (box.checked) this.selected.add(row); else this.selected.delete(row);
      box.closest(".tabulator-row")?.classList.toggle("chosen", box.checked);
      this.selection();
    });
    const star = make("button", { type: "button", className: "star", "aria-label": `Star ${name}`, "aria-pressed": String(this.isStarred(row)) });
    star.addEventListener("click", () => {
      const key = this.starKey(row);
      if (this.stars.has(key)) this.stars.delete(key); else this.stars.add(key);
      star.setAttribute("aria-pressed", String(this.stars.has(key)));
      this.kept.set("stars", [...this.stars]);
      if (byId("starred").checked) this.filter();
    });
    return make("span", { className: "pick" }, box, star);
  }
  nameCell(row) {
    const about = this.all.about(row);
    const line = make("span", { className: "under" });
    line.append(make("span", { className: `kind kind-${about.kind.replace(" ", "-")}`, textContent: KINDS[about.kind] || about.kind }));
    for (const [word, address] of this.all.links(row)) line.append(link(word === "commit" ? about.commit.slice(0, 8) : word === "pull request" ? `#${about.pull}` : word, address));
    if (about.commit && !this.all.links(row).some(([word]) => word === "commit")) line.append(make("code", { textContent: about.commit.slice(0, 8) }));
    const state = about.state && make("span", { className: "state", textContent: about.state });
    return make("span", { className: "two", title: [about.name, about.state, about.author].filter(Boolean).join("\n") }, make("span", { className: "first", textContent: about.name || "(no message)" }), line, ...(state ? [state] : []));
  }
  branchCell(row) {
    const about = this.all.about(row);
    const base = this.all.baseline(row);
    return make("span", { className: "first soft", title: about.branch, textContent: about.branch || (base === null ? "" : `on ${this.all.rows.commit[base].slice(0, 8)}`) });
  }
  valueCell(row, c) {
    const value = this.all.value(row, c);
    const shown = make("span", { className: "value", textContent: format(value), title: value === null ? "" : String(value) });
    const base = this.against(row);
    if (base === null || value === null) return shown;
    const before = this.all.value(base, c);
    if (before === value) return shown;
    const column = this.all.columns[c];
    if (!column.metric) {
      shown.classList.add("changed");
      shown.title = `${this.all.called(base)}: ${format(before)}`;
      return shown;
    }
    if (!isNumber(before) || !isNumber(value)) return shown;
    const tone = { 1: "good", "-1": "bad", 0: "" }[this.all.judged(c, value - before)];
    const word = { 1: "\u25b2 ", "-1": "\u25bc ", 0: "" }[this.all.judged(c, value - before)];
    return make("span", { className: "two" }, shown, make("span", { className: `under ${tone}`, title: `${this.all.called(base)}: ${format(before)}`, textContent: word + signed(value - before) }));
  }
  past(row) {
    if (!this.ofBranch) {
      this.ofBranch = new Map();
      for (let at = this.all.count - 1; at >= 0; at--) { // oldest first
        const branch = this.all.rows.branch[at];
        if (!this.all.branches[branch] || this.all.rows.same[at]) continue;
        if (!this.ofBranch.has(branch)) this.ofBranch.set(branch, []);
        this.ofBranch.get(branch).push(at);
      }
    }
    const line = this.ofBranch.get(this.all.rows.branch[row]) || [];
    const end = line.indexOf(row);
    return end < 0 ? [] : line.slice(Math.max(0, end - 19), end + 1).map((at) => this.all.value(at, this.all.mainColumn));
  }

  // ------------------------------------------------------------------------------------------------------- columns

  choose() {
    const list = byId("columns-list");
    const groups = [["Lines", []], ["Metrics", []], ["Params", []], ["Params that never differ", []]];
    if (this.all.mainColumn >= 0) groups[0][1].push(["trend", `${this.all.columns[this.all.mainColumn].label} so far`]);
    this.all.curveNames.forEach((name, at) => groups[0][1].push([`curve:${name}`, this.all.curveLabels[at]]));
    this.all.columns.forEach((column, c) => groups[column.metric ? 1 : this.all.constant[c] ? 3 : 2][1].push([column.key, column.label]));
    for (const [title, items] of groups) {
      if (!items.length) continue;
      const field = make("fieldset", {}, make("legend", { textContent: title }));
      for (const [key, label] of items) {
        const box = make("input", { type: "checkbox", checked: this.columns.has(key), value: key });
        field.append(make("label", { title: key }, box, make("span", { textContent: label })));
      }
      list.append(field);
    }
    list.addEventListener("change", (event) => {
      if (event.target.checked) this.columns.add(event.target.value); else this.columns.delete(event.target.value);
      this.kept.set("columns", [...this.columns]);
      this.table.setColumns(this.definitions());
      this.table.replaceData(this.data());
    });
    byId("columns-find").addEventListener("input", (event) => {
      const wanted = event.target.value.toLowerCase();
      for (const label of list.querySelectorAll("label")) label.hidden = !label.textContent.toLowerCase().includes(wanted);
    });
    const panel = byId("columns");
    byId("columns-button").addEventListener("click", () => panel.showModal());
    byId("columns-close").addEventListener("click", () => panel.close());
    panel.addEventListener("click", (event) => { if (event.target === panel) panel.close(); });
  }

  // ----------------------------------------------------------------------------------------------------- selection

  selection() {
    const count = this.selected.size;
    byId("chosen").hidden = count === 0 && this.pinned === null;
    byId("chosen-count").textContent = `${count} selected`;
    byId("side-by-side").disabled = count < 1;
    byId("overlay").disabled = ![...this.selected].some((row) => this.all.curves(row).length);
    byId("pin").disabled = this.pinned === null && count !== 1;
    byId("pin").textContent = this.pinned === null ? "Compare all with it" : `Compared with ${this.all.called(this.pinned)}: end`;
    byId("tab-compare").textContent = count ? `Side by side (${count})` : "Side by side";
    if (!byId("panel-compare").hidden) this.compare();
    this.charts.later();
  }
  compare() {
    const place = byId("compare-place");
    place.replaceChildren();
    let rows = [...this.selected].slice(0, MOST_SIDE_BY_SIDE);
    if (rows.length === 1 && this.against(rows[0]) !== null) rows = [this.against(rows[0]), rows[0]];
    if (!rows.length) {
      place.append(make("p", { className: "soft", textContent: "Select experiments in the table: one is set against its baseline, several stand beside one another." }));
      return;
    }
    const different = byId("only-different").checked;
    const head = make("tr", {}, make("th", { scope: "col" }, make("span", { className: "unseen", textContent: "Metric or param" })));
    rows.forEach((row, at) => {
      const about = this.all.about(row);
      const cell = make("th", { scope: "col" }, make("span", { className: "first", textContent: this.all.called(row) }));
      cell.append(make("span", { className: "under" }, [about.branch, when(about.when).slice(0, 10), at === 0 && rows.length > 1 ? "reference" : ""].filter(Boolean).join(" \u00b7 ")));
      const under = make("span", { className: "under" });
      for (const [word, address] of this.all.links(row)) under.append(link(word, address));
      cell.append(under);
      head.append(cell);
    });
    const body = make("tbody");
    const section = (title, wanted) => {
      const lines = [];
      this.all.columns.forEach((column, c) => {
        if (column.metric !== wanted) return;
        const values = rows.map((row) => this.all.value(row, c));
        if (values.every((value) => value === null) || (different && values.every((value) => value === values[0]))) return;
        lines.push(this.compareLine(column, c, values));
      });
      if (!lines.length) return;
      body.append(make("tr", { className: "section" }, make("th", { colSpan: rows.length + 1, scope: "rowgroup", textContent: title })), ...lines);
    };
    section("Metrics", true);
    section("Params", false);
    if (!body.rows.length) body.append(make("tr", {}, make("td", { colSpan: rows.length + 1, textContent: "Nothing differs." })));
    place.append(make("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Experiments side by side" }, make("table", { className: "sides" }, make("caption", { className: "unseen", textContent: "Experiments side by side" }), make("thead", {}, head), body)));
    if (this.selected.size > rows.length && this.selected.size > MOST_SIDE_BY_SIDE) place.append(make("p", { className: "soft", textContent: `The first ${MOST_SIDE_BY_SIDE} of ${this.selected.size} are shown.` }));
  }
  compareLine(column, c, values) {
    const line = make("tr", {}, make("th", { scope: "row", title: column.key, textContent: column.label }));
    const numbers = values.filter(isNumber);
    const best = column.goal && numbers.length > 1 ? (column.goal === "maximize" ? Math.max(...numbers) : Math.min(...numbers)) : null;
    values.forEach((value, at) => {
      const cell = make("td", {}, make("span", { className: "value", textContent: format(value) }));
      if (value !== null && value === best && numbers.some((one) => one !== best)) cell.append(" ", make("span", { className: "best", textContent: "best" }));
      const first = values[0];
      if (at && isNumber(value) && isNumber(first) && value !== first) {
        const tone = { 1: "good", "-1": "bad", 0: "" }[this.all.judged(c, value - first)];
        const share = first ? ` (${signed(((value - first) / Math.abs(first)) * 100)} %)` : "";
        cell.append(make("span", { className: `under ${column.metric ? tone : ""}`, textContent: signed(value - first) + (column.metric ? share : "") }));
      } else if (at && value !== first) cell.classList.add("changed");
      line.append(cell);
    });
    return line;
  }

  // ---------------------------------------------------------------------------------------------------------- tabs

  tabs() {
    const tabs = [...document.querySelectorAll("[role=tab]")];
    tabs.forEach((tab, at) => {
      tab.addEventListener("click", () => this.show(tab.dataset.panel));
      tab.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!step) return;
        const next = tabs[(at + step + tabs.length) % tabs.length];
        this.show(next.dataset.panel);
        next.focus();
      });
    });
    byId("only-different").addEventListener("change", () => this.compare());
  }
  show(name) {
    for (const tab of document.querySelectorAll("[role=tab]")) {
      const on = tab.dataset.panel === name;
      tab.setAttribute("aria-selected", String(on));
      tab.tabIndex = on ? 0 : -1;
      byId(`panel-${tab.dataset.panel}`).hidden = !on;
    }
    if (name === "compare") this.compare();
    if (name === "charts") this.charts.show();
    if (name === "table") this.redraw();
  }
}
const MOST_SIDE_BY_SIDE = 12;
const KINDS = { commit: "Commit", "pull request": "Pull request", experiment: "Experiment", training: "Training" };
const link = (text, address) => make("a", { href: address, rel: "noreferrer noopener", textContent: text });

const begin = async () => {
  const root = document.documentElement;
  try {
    const page = new Page(new Experiments(JSON.parse(await unpacked("experiments"))));
    const plain = (on) => { byId("app").hidden = on; byId("static").hidden = !on; };
    plain(false);
    await page.start().catch((error) => { plain(true); throw error; }); // what stands there without scripts can be read
    root.dataset.ready = "yes";
  } catch (error) {
    byId("failed").hidden = false;
    byId("failed").textContent = `The interactive page does not work in this browser: ${error.message}`;
    throw error;
  }
};
begin();
