// Starts the page once Bokeh has made its figures.

const FIGURES = ["curves", "map", "profile"];

function start() {
  buildControls();
  buildLayers();
  buildConfigs();
  element("whole").onchange = drawConfigs;
  parts.push(look, drawControls, drawCurves, drawCells, drawPicked, drawLayers, drawConfigs);
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
  requestAnimationFrame(() => requestAnimationFrame(() => (document.documentElement.dataset.ready = Math.round(performance.now()))));
}

(function wait() {
  if (globalThis.Bokeh?.documents[0]?.is_idle) start();
  else setTimeout(wait, 10);
})();
