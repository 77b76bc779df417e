// Charts by Vega-Lite. Its names of fields are ours, never those of the experiments, and its interpreter runs no code.
const NO_BRANCH = "experiments";
const MOST_LINES = 1500, MOST_BRANCHES = 9, MOST_CURVES = 12;

class Charts {
  constructor(page) {
    this.page = page;
    this.kind = "time";
    this.waiting = 0;
    this.view = null;
  }
  get all() { return this.page.all; }
  isShown() { return !byId("panel-charts").hidden; }
  later() {
    if (!this.isShown()) return;
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.draw(), 60);
  }
  async show() {
    if (!this.ready) {
      this.ready = true;
      this.controls();
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.later());
      let width = innerWidth;
      addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; this.later(); } });
    }
    byId("chart-kind").value = this.kind;
    this.fields();
    await this.draw();
  }

  // ------------------------------------------------------------------------------------------------------ controls

  controls() {
    const main = this.all.mainColumn;
    const numeric = this.all.columns.flatMap((column, c) => (this.all.numeric[c] ? [c] : []));
    const metrics = numeric.filter((c) => this.all.columns[c].metric);
    const params = numeric.filter((c) => !this.all.columns[c].metric && !this.all.constant[c]);
    const fill = (id, chosen, further = []) => {
      const select = byId(id);
      for (const [value, text] of further) select.append(make("option", { value, textContent: text }));
      for (const [title, group] of [["Metrics", metrics], ["Params", params]]) {
        if (!group.length) continue;
        select.append(make("optgroup", { label: title }, ...group.map((c) => make("option", { value: String(c), textContent: this.all.columns[c].label }))));
      }
      if (chosen !== undefined) select.value = String(chosen);
      select.addEventListener("change", () => this.draw());
    };
    const second = metrics.find((c) => c !== main && this.all.columns[c].goal !== this.all.columns[main]?.goal) ?? metrics.find((c) => c !== main);
    fill("chart-y", main);
    fill("chart-x", params[0] ?? second ?? main);
    fill("chart-color", "", [["", "Kind"], ["branch", "Branch"]]);
    const names = byId("chart-curve");
    this.all.curveNames.forEach((name, at) => names.append(make("option", { value: name, textContent: this.all.curveLabels[at] })));
    names.addEventListener("change", () => this.draw());
    byId("chart-kind").addEventListener("change", (event) => { this.kind = event.target.value; this.suggest(second, params[0]); this.fields(); this.draw(); });
    byId("chart-log").addEventListener("change", () => this.draw());
    const axes = byId("chart-axes");
    const first = new Set([...params.slice(0, 6), ...(main >= 0 ? [main] : [])]);
    for (const c of [...params, ...metrics]) axes.append(make("label", {}, make("input", { type: "checkbox", value: String(c), checked: first.has(c) }), make("span", { textContent: this.all.columns[c].label })));
    axes.addEventListener("change", () => this.draw());
  }
  suggest(metric, param) {
    if (this.kind === "pareto" && metric !== undefined) byId("chart-x").value = String(metric);
    if (this.kind === "scatter" && param !== undefined) byId("chart-x").value = String(param);
  }
  fields() {
    const needed = { time: ["y"], scatter: ["x", "y", "color", "log"], parallel: ["axes"], pareto: ["x", "y"], curves: ["curve", "log"] }[this.kind];
    for (const name of ["x", "y", "color", "log", "axes", "curve"]) byId(`field-${name}`).hidden = !needed.includes(name);
  }
  said(text) { byId("chart-said").textContent = text; }

  // -------------------------------------------------------------------------------------------------------- charts

  point(row) {
    const about = this.all.about(row);
    return { i: row, name: this.all.called(row), kind: KINDS[about.kind], branch: about.branch || NO_BRANCH, chosen: this.page.selected.has(row) };
  }
  rows(...columns) { return this.page.shown.filter((row) => columns.every((c) => isNumber(this.all.value(row, c)))); }

  time() {
    const y = Number(byId("chart-y").value);
    const rows = this.rows(y);
    const sizes = new Map();
    for (const row of rows) { const name = this.point(row).branch; sizes.set(name, (sizes.get(name) || 0) + 1); }
    const largest = [...sizes].sort((a, b) => (b[0] === this.all.target) - (a[0] === this.all.target) || b[1] - a[1]).slice(0, MOST_BRANCHES).map(([name]) => name);
    const data = rows.map((row) => { const point = this.point(row); return { ...point, line: largest.includes(point.branch) ? point.branch : "others", x: this.all.rows.when[row] * 1000, y: this.all.value(row, y) }; });
    this.said(`${data.length.toLocaleString("en")} experiments. A click selects one.`);
    const color = { field: "line", type: "nominal", title: "Branch", scale: { domain: [...largest, ...(sizes.size > largest.length ? ["others"] : [])] } };
    const x = { field: "x", type: "temporal", title: "" };
    const value = { field: "y", type: "quantitative", title: this.all.columns[y].label, scale: { zero: false } };
    return { data: { values: data }, layer: [
      { transform: [{ filter: `datum.line !== 'others' && datum.branch !== '${NO_BRANCH}'` }], mark: { type: "line", strokeWidth: 1.5, opacity: 0.6 }, encoding: { x, y: value, color } },
      this.marks({ x, y: value, color }),
    ] };
  }
  marks(encoding) {
    return { mark: { type: "point", filled: true, cursor: "pointer" }, encoding: { ...encoding,
      size: { condition: { test: "datum.chosen", value: 160 }, value: 34 },
      opacity: { condition: { test: "datum.chosen", value: 1 }, value: 0.75 },
      stroke: { condition: { test: "datum.chosen", value: this.ink("--ink") }, value: null },
      tooltip: [{ field: "name", title: "Experiment" }, { field: "branch", title: "Branch" }, ...(encoding.x?.type === "quantitative" ? [{ field: "x", title: encoding.x.title }] : []), { field: "y", title: encoding.y.title }] } };
  }
  scatter() {
    const [x, y, by] = [Number(byId("chart-x").value), Number(byId("chart-y").value), byId("chart-color").value];
    const byColumn = by !== "" && by !== "branch";
    const rows = this.rows(x, y, ...(byColumn ? [Number(by)] : []));
    const log = byId("chart-log").checked && rows.every((row) => this.all.value(row, x) > 0);
    const data = rows.map((row) => ({ ...this.point(row), x: this.all.value(row, x), y: this.all.value(row, y), z: byColumn ? this.all.value(row, Number(by)) : 0 }));
    this.said(`${data.length.toLocaleString("en")} experiments. A click selects one.` + (byId("chart-log").checked && !log ? " Not all numbers are above zero: the axis is linear." : ""));
    const color = byColumn ? { field: "z", type: "quantitative", title: this.all.columns[Number(by)].label, scale: { scheme: "viridis" } } : { field: by === "branch" ? "branch" : "kind", type: "nominal", title: by === "branch" ? "Branch" : "Kind", legend: by === "branch" ? { symbolLimit: MOST_BRANCHES } : {} };
    return { data: { values: data }, ...this.marks({ x: { field: "x", type: "quantitative", title: this.all.columns[x].label, scale: { zero: false, type: log ? "log" : "linear" } }, y: { field: "y", type: "quantitative", title: this.all.columns[y].label, scale: { zero: false } }, color }) };
  }
  pareto() {
    const [x, y] = [Number(byId("chart-x").value), Number(byId("chart-y").value)];
    const sign = (c) => (this.all.columns[c].goal === "minimize" ? -1 : 1);
    const sorted = this.rows(x, y).sort((a, b) => sign(x) * (this.all.value(b, x) - this.all.value(a, x)) || sign(y) * (this.all.value(b, y) - this.all.value(a, y)));
    const front = new Set();
    let best = -Infinity;
    for (const row of sorted) {
      const value = sign(y) * this.all.value(row, y);
      if (value > best) { best = value; front.add(row); }
    }
    const data = sorted.map((row) => ({ ...this.point(row), x: this.all.value(row, x), y: this.all.value(row, y), front: front.has(row) ? "On the front" : "Beaten by another" }));
    const way = (c) => `${this.all.columns[c].label}, ${this.all.columns[c].goal === "minimize" ? "lower" : "higher"} is better`;
    const guessed = [x, y].filter((c) => !this.all.columns[c].goal).map((c) => this.all.columns[c].label);
    this.said(`${front.size} of ${data.length.toLocaleString("en")} experiments are beaten by no other in both.` + (guessed.length ? ` Nobody says which way ${guessed.join(" and ")} is better: higher is taken.` : ""));
    const encoding = { x: { field: "x", type: "quantitative", title: way(x), scale: { zero: false } }, y: { field: "y", type: "quantitative", title: way(y), scale: { zero: false } } };
    const color = { field: "front", type: "nominal", title: "", scale: { domain: ["On the front", "Beaten by another"], range: [this.ink("--new"), this.ink("--faint")] } };
    return { data: { values: data }, layer: [
      { transform: [{ filter: "datum.front === 'On the front'" }], mark: { type: "line", interpolate: sign(x) > 0 ? "step-before" : "step-after", strokeWidth: 1.5, color: this.ink("--new") }, encoding },
      this.marks({ ...encoding, color }),
    ] };
  }
  parallel() {
    const axes = [...byId("chart-axes").querySelectorAll("input:checked")].map((box) => Number(box.value));
    if (axes.length < 2) { this.said("Choose two axes or more."); return null; }
    const all = this.rows(...axes);
    const rows = [...all.slice(0, MOST_LINES), ...all.slice(MOST_LINES).filter((row) => this.page.selected.has(row))];
    const spans = axes.map((c) => { const values = rows.map((row) => this.all.value(row, c)); return [values.reduce((a, b) => Math.min(a, b), Infinity), values.reduce((a, b) => Math.max(a, b), -Infinity)]; });
    const colored = axes.includes(this.all.mainColumn) ? this.all.mainColumn : axes.at(-1);
    const any = this.page.selected.size > 0;
    const data = rows.flatMap((row) => { const point = this.point(row); return axes.map((c, at) => ({ ...point, axis: at, share: spans[at][1] === spans[at][0] ? 0.5 : (this.all.value(row, c) - spans[at][0]) / (spans[at][1] - spans[at][0]), x: format(this.all.value(row, c)), z: this.all.value(row, colored) })); });
    const ticks = axes.flatMap((c, at) => [{ axis: at, share: 0, text: format(spans[at][0]), end: "low" }, { axis: at, share: 1, text: format(spans[at][1]), end: "high" }]);
    const heads = axes.map((c, at) => ({ axis: at, share: 1, low: 0, text: this.all.columns[c].label.length > 16 ? `\u2026${this.all.columns[c].label.slice(-15)}` : this.all.columns[c].label }));
    this.said(`${rows.length.toLocaleString("en")} experiments` + (all.length > rows.length ? ` of ${all.length.toLocaleString("en")}: filter to see others.` : "."));
    const x = { field: "axis", type: "ordinal", axis: null, scale: { paddingOuter: 0.25 } };
    const y = { field: "share", type: "quantitative", axis: null, scale: { domain: [0, 1] } };
    const text = (values, dy, weight) => ({ data: { values }, mark: { type: "text", dy, fontSize: weight ? 12 : 11, fontWeight: weight ? 600 : 400, color: this.ink(weight ? "--ink" : "--soft") }, encoding: { x, y, text: { field: "text" } } });
    return { padding: { top: 44, bottom: 8, left: 8, right: 8 }, layer: [
      { data: { values: heads }, mark: { type: "rule", color: this.ink("--line") }, encoding: { x, y, y2: { field: "low" } } },
      { data: { values: data }, mark: { type: "line", strokeWidth: 1, cursor: "pointer" }, encoding: { x, y, detail: { field: "i" }, color: { field: "z", type: "quantitative", title: this.all.columns[colored].label, scale: { scheme: "viridis" } }, opacity: any ? { condition: { test: "datum.chosen", value: 1 }, value: 0.12 } : { value: rows.length > 200 ? 0.25 : 0.6 }, tooltip: [{ field: "name", title: "Experiment" }] } },
      text(ticks.filter((tick) => tick.end === "low"), 14, false), text(ticks.filter((tick) => tick.end === "high"), -10, false), text(heads, -28, true),
    ] };
  }
  curves() {
    const name = byId("chart-curve").value;
    const has = (row) => this.all.curves(row).some((curve) => curve.name === name);
    const selected = [...this.page.selected].filter(has);
    const rows = (selected.length ? selected : this.page.shown.filter(has)).slice(0, MOST_CURVES);
    if (!rows.length) { this.said(this.all.curveNames.length ? "None of these experiments has this curve here." : "There are no curves: plots in dvc.yaml, in files that Git keeps, give them."); return null; }
    this.said(selected.length ? (selected.length > rows.length ? `The first ${rows.length} of ${selected.length}.` : "") : `The newest ${rows.length}: select experiments in the table to see theirs.`);
    const log = byId("chart-log").checked;
    const data = rows.flatMap((row, at) => this.all.curves(row).filter((curve) => curve.name === name).flatMap((curve) => curve.y.map((y, step) => ({ ...this.point(row), line: `${at + 1}. ${this.all.called(row)}`.slice(0, 40), x: curve.x[step], y })))).filter((point) => !log || point.y > 0);
    return { data: { values: data }, layer: [{ mark: { type: "line", strokeWidth: 2 }, encoding: { x: { field: "x", type: "quantitative", title: "Step", scale: { zero: false } }, y: { field: "y", type: "quantitative", title: this.all.curveLabels[this.all.curveNames.indexOf(name)], scale: { zero: false, type: log ? "log" : "linear" } }, color: { field: "line", type: "nominal", title: "", sort: null, legend: { orient: "bottom", columns: innerWidth < 700 ? 1 : 3, labelLimit: 260 } } } }] };
  }

  // ------------------------------------------------------------------------------------------------------- drawing

  ink(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }
  config() {
    const [ink, soft, line] = ["--ink", "--soft", "--line"].map((name) => this.ink(name));
    const font = "system-ui, sans-serif";
    return { background: null, font, view: { stroke: null },
      axis: { labelColor: soft, titleColor: ink, gridColor: line, domainColor: line, tickColor: line, labelFontSize: 12, titleFontSize: 12, titleFontWeight: 600, labelOverlap: "greedy", labelSeparation: 12, tickCount: innerWidth < 700 ? 4 : 8 },
      legend: { labelColor: ink, titleColor: ink, labelFontSize: 12, orient: innerWidth < 700 ? "bottom" : "right", columns: innerWidth < 700 ? 2 : 1 },
      range: { category: matchMedia("(prefers-color-scheme: dark)").matches ? ["#6cb0ff", "#f2a65a", "#6fdd8b", "#ff8f8a", "#c3a6ff", "#5fd4d0", "#f2c25c", "#e58bc1", "#a6b1bd", "#7f8a96"] : ["#0b61d8", "#b35900", "#1a7f37", "#c4212f", "#7a3fc4", "#0a7e82", "#8a6100", "#b0307f", "#57606a", "#99a2ac"] } };
  }
  async draw() {
    if (!this.isShown()) return;
    const turn = (this.turn = (this.turn || 0) + 1);
    const place = byId("chart");
    try {
      await library("chart-library");
      if (turn !== this.turn) return;
      const { View, parse, compile, interpreter } = globalThis.mlbutlerCharts;
      const described = { time: "Metric over commits", scatter: "Two numbers", parallel: "Parallel coordinates", pareto: "Pareto front", curves: "Training curves" }[this.kind];
      const wanted = this[this.kind]();
      this.view?.finalize();
      this.view = null;
      place.replaceChildren();
      if (!wanted) return;
      const chart = { $schema: "https://vega.github.io/schema/vega-lite/v6.json", height: Math.max(380, Math.min(620, innerHeight - 330)), autosize: { type: "fit", contains: "padding" }, description: described, ...wanted, config: this.config() };
      const width = Math.max(280, place.clientWidth);
      const runtime = parse(compile({ ...chart, width: width }).spec, null, { ast: true });
      const view = new View(runtime, { expr: interpreter, renderer: "canvas", container: place, hover: true, loader: { load: () => Promise.reject(new Error("no network")), sanitize: () => Promise.reject(new Error("no links")) } });
      view.addEventListener("click", (_event, item) => {
        const row = item?.datum?.i;
        if (!Number.isInteger(row)) return;
        if (this.page.selected.has(row)) this.page.selected.delete(row); else this.page.selected.add(row);
        this.page.redraw();
        this.page.selection();
      });
      this.view = view;
      await view.runAsync();
      place.dataset.drawn = this.kind;
    } catch (error) {
      this.said(`This chart cannot be drawn: ${error.message}`);
      throw error;
    }
  }
}
