// Layers: one cell over steps and layers, and the last chunk of every cell that is shown over its layers.

function buildLayers() {
  const names = payload.layers.names;
  element("layers-section").hidden = element("to-layers").hidden = !names.length;
  options(element("diagnostic"), names.map((name) => [name, name]), state.diagnostic);
  element("diagnostic").onchange = (event) => choose({ diagnostic: event.target.value });
  const having = everyCell.filter((i) => payload.layers.shape[i][0]);
  options(element("cell"), having.map((i) => [cells[i].id, `${cells[i].words} (${cells[i].status})`]), state.cell);
  element("cell").onchange = (event) => choose({ cell: event.target.value });
  element("thinned").hidden = payload.layers.whole;
}

function drawLayers() {
  const column = layers[state.diagnostic];
  if (!column) return;
  drawMap(view.cell, column);
  drawProfiles(column);
  element("cell").value = cells[view.cell].id;
}

// Values of several powers of ten read better by their logarithm.
function spread(values) {
  const known = values.filter((v) => Number.isFinite(v));
  const [low, high] = known.length ? quantiles(known, 0, 1) : [0, 0];
  return low > 0 && high / low > 30;
}

function drawMap(cell, column) {
  const [chunks, depth] = payload.layers.shape[cell], values = layerRows(cell, column), steps = layerRows(cell, layerSteps);
  const log = spread(Array.from(values)), mapper = model(log ? "colours_log" : "colours_linear"), plot = model("map");
  const known = values.filter((v) => Number.isFinite(v)), at = Array.from(values, (_, i) => i);
  const end = at.map((i) => steps[i]), begin = at.map((i) => (i < depth ? 0 : steps[i - depth]));
  const [low, high] = known.length ? quantiles(known, 0, 1) : [1, 2];
  Object.assign(mapper, { low, high: high > low ? high : low + 1 });
  model("square").fill_color = { field: "value", transform: mapper };
  model("bar").color_mapper = mapper;
  fill("squares", {
    left: begin, right: end, bottom: at.map((i) => (i % depth) + 0.5), top: at.map((i) => (i % depth) + 1.5),
    value: Array.from(values), layer: at.map((i) => (i % depth) + 1), step: end,
  });
  setRange(plot.x_range, 0, chunks ? steps[chunks * depth - 1] : 1);
  setRange(plot.y_range, 0.5, depth + 0.5);
}

function drawProfiles(column) {
  const plot = model("profile"), axis = colourAxis(), shown = view.shown.filter((i) => payload.layers.shape[i][0]);
  const lines = shown.map((i) => {
    const [chunks, depth] = payload.layers.shape[i];
    return { i, xs: Array.from({ length: depth }, (_, layer) => layer + 1), ys: Array.from(layerRows(i, column).subarray((chunks - 1) * depth)) };
  });
  const all = lines.flatMap((line) => line.ys), log = spread(all);
  fill("profiles", {
    xs: lines.map((line) => line.xs), ys: lines.map((line) => line.ys), colour: lines.map(({ i }) => hue(axis.of[i])),
    dash: lines.map(({ i }) => dash(axis.of[i])), width: lines.map(({ i }) => (i === view.cell ? 3 : 1)),
    alpha: lines.map(({ i }) => (i === view.cell ? 1 : 0.7)), cell: lines.map(({ i }) => cells[i].id),
    text: lines.map(({ i }) => cells[i].words), status: lines.map(({ i }) => cells[i].status),
  });
  plot.left[0].axis_label = state.diagnostic;
  setScale(plot, log);
  fit(plot.y_range, all, log);
  setRange(plot.x_range, 0.5, Math.max(1.5, ...lines.map((line) => line.xs.length + 0.5)));
}
