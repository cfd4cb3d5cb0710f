// Starts the page once Bokeh has made its figures.

const FIGURES = ["curves", "map", "profile"];

function start() {
  buildControls();
  parts.push(look, drawControls, drawCurves, drawCells, drawPicked);
  const dressed = () => FIGURES.forEach((name) => dress(model(name)));
  dressed();
  dark.addEventListener("change", () => {
    dressed();
    choose({});
  });
  for (const plot of FIGURES.map(model)) {
    keys(`${plot.name}-figure`, plot);
    plot.y_range.properties.end.change.connect(() => tickLog(plot));
  }
  link();
  parts.forEach((part) => part());
  addEventListener("beforeprint", () => document.querySelectorAll("details:not(#listed)").forEach((one) => (one.open = true)));
  const seconds = Number(document.documentElement.dataset.live);
  if (seconds) live(seconds);
  requestAnimationFrame(() => requestAnimationFrame(startRest));
}

// What is further down follows once the curves are painted.
function startRest() {
  document.documentElement.dataset.painted = Math.round(performance.now());
  buildLayers();
  buildConfigs();
  element("whole").onchange = drawConfigs;
  for (const part of [drawLayers, drawConfigs]) {
    parts.push(part);
    part();
  }
  document.documentElement.dataset.ready = "";
}

(function wait() {
  if (globalThis.Bokeh?.documents[0]?.is_idle) start();
  else setTimeout(wait, 10);
})();
