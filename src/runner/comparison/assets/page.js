"use strict";

// Plots: drawn when they come near the screen, again when the theme changes.
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const config = { responsive: true, displaylogo: false, displayModeBar: "hover" };

function layoutFor(figure, width) {
  const given = figure.layout;
  const text = colour("--text"), line = colour("--line");
  const axis = { gridcolor: line, linecolor: line, zerolinecolor: line, automargin: true };
  const narrow = width < 640;
  const entries = figure.data.filter((trace) => trace.showlegend !== false && trace.name).length;
  const below = narrow || entries > 16;
  const longest = Math.max(1, ...figure.data.map((trace) => (trace.name || "").length));
  const perRow = Math.max(1, Math.floor(width / (longest * 7 + 50)));
  const legendHeight = entries > 1 && below ? Math.ceil(entries / perRow) * 22 + 30 : 0;
  const height = narrow ? 300 : below ? 380 : Math.max(380, 23 * entries + 70);
  return {
    margin: { l: 56, r: 16, t: 36, b: 48 },
    ...given,
    height: given.height || height + legendHeight,
    paper_bgcolor: colour("--ground"),
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: text, size: 12, family: "system-ui, sans-serif" },
    hoverlabel: { bgcolor: colour("--panel"), bordercolor: line, font: { color: text } },
    showlegend: entries > 1,
    legend: below
      ? { orientation: "h", x: 0, y: 0, yref: "container", yanchor: "bottom", maxheight: legendHeight, tracegroupgap: 0 }
      : { x: 1.01, y: 1, tracegroupgap: 0 },
    xaxis: { ...given.xaxis, ...axis },
    yaxis: { ...given.yaxis, ...axis },
  };
}

function draw(plot) {
  const canvas = plot.querySelector(".canvas");
  const chosen = plot.querySelector("select")?.selectedIndex ?? 0;
  const figure = JSON.parse(plot.querySelectorAll("script")[chosen].textContent);
  for (const trace of figure.data.filter((one) => one.type === "parcoords")) {
    trace.labelfont = trace.tickfont = { color: colour("--text"), size: 12 };
    trace.labelangle = canvas.clientWidth < 90 * trace.dimensions.length ? -25 : 0;
    trace.rangefont = { color: colour("--faint"), size: 11 };
    trace.unselected = { line: { color: colour("--line"), opacity: 0.4 } };
  }
  Plotly.react(canvas, figure.data, layoutFor(figure, canvas.clientWidth), config);
  plot.dataset.drawn = "yes";
}

const plots = [...document.querySelectorAll(".plot")];
const near = new IntersectionObserver((entries) => {
  for (const entry of entries.filter((one) => one.isIntersecting)) {
    near.unobserve(entry.target);
    draw(entry.target);
  }
}, { rootMargin: "600px" });
for (const plot of plots) {
  near.observe(plot);
  plot.querySelector("select")?.addEventListener("change", () => draw(plot));
}
const redraw = () => plots.filter((plot) => plot.dataset.drawn).forEach(draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
addEventListener("beforeprint", () => plots.forEach(draw));

// Differences: of each run only the places of its values are stored, of keys that vary.
const comparison = document.getElementById("comparison");
if (comparison) {
  const { names, keys, values, rows, start } = JSON.parse(comparison.textContent);
  const choices = ["first", "second"].map((id) => document.getElementById(id));
  for (const choice of choices) {
    choice.append(...names.map((name, index) => new Option(name, index)));
  }
  choices.forEach((choice, which) => { choice.selectedIndex = start[which]; });
  const show = () => {
    const [a, b] = choices.map((choice) => rows[choice.selectedIndex]);
    const differing = keys.map((_, key) => key).filter((key) => a[key] !== b[key]);
    const cell = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });
    const lines = differing.map((key) => {
      const line = document.createElement("tr");
      line.append(cell("th", keys[key]), cell("td", values[key][a[key]]), cell("td", values[key][b[key]]));
      line.firstChild.scope = "row";
      return line;
    });
    const none = document.createElement("tr");
    none.append(Object.assign(cell("td", "no differences"), { colSpan: 3 }));
    document.getElementById("differing").replaceChildren(...(lines.length ? lines : [none]));
  };
  for (const choice of choices) choice.addEventListener("change", show);
  show();
}
