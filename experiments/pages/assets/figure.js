// What the three figures have in common: their models by name, their ranges, their scale, their keys.

const model = (name) => Bokeh.documents[0].get_model_by_name(name);

function fill(name, columns) {
  model(name).data = columns;
}

function setRange(range, start, end) {
  Object.assign(range, { start, end, reset_start: start, reset_end: end });
}

function setScale(plot, log) {
  const way = log ? "log" : "linear";
  plot.y_scale = model(`${plot.name}_${way}_scale`);
  plot.left[0].ticker = model(`${plot.name}_${way}_ticker`);
}

// 1, 2 and 5 times the powers of ten within a range; of a range of many decades the powers alone.
function tickLog(plot) {
  const { start, end } = plot.y_range;
  if (!(start > 0 && end > start)) return;
  const low = Math.floor(Math.log10(start)), high = Math.ceil(Math.log10(end)), ticks = [];
  const step = Math.ceil((high - low) / 12), times = high - low > 3 ? [1] : [1, 2, 5];
  for (let power = low; power <= high; power += step) ticks.push(...times.map((m) => Number(`${m}e${power}`)));
  model(`${plot.name}_log_ticker`).ticks = ticks.filter((tick) => tick >= start && tick <= end);
}

// From the smallest to the largest of values that a scale can show, with room at both ends.
function fit(range, values, log, room = 0.05) {
  const usable = values.filter((v) => Number.isFinite(v) && (!log || v > 0));
  if (!usable.length) return;
  let low = usable.reduce((a, b) => Math.min(a, b)), high = usable.reduce((a, b) => Math.max(a, b));
  if (log) {
    const ratio = Math.max(high / low, 1.01) ** room;
    setRange(range, low / ratio, high * ratio);
  } else {
    const span = (high - low || Math.abs(high) || 1) * room;
    setRange(range, low - span, high + span);
  }
}

// Arrows move, + and - zoom, 0 goes back: the figure is the focus of the keyboard.
function keys(id, plot) {
  const log = () => plot.y_scale === model(`${plot.name}_log_scale`);
  const move = (range, by, zoom, log) => {
    const to = log ? Math.log : (v) => v, back = log ? Math.exp : (v) => v;
    const start = to(range.start), end = to(range.end), span = end - start;
    Object.assign(range, { start: back(start + by * span + zoom * span), end: back(end + by * span - zoom * span) });
  };
  const acts = {
    ArrowLeft: () => move(plot.x_range, -0.1, 0, false), ArrowRight: () => move(plot.x_range, 0.1, 0, false),
    ArrowDown: () => move(plot.y_range, -0.1, 0, log()), ArrowUp: () => move(plot.y_range, 0.1, 0, log()),
    "+": () => [plot.x_range, plot.y_range].forEach((range, i) => move(range, 0, 0.1, i && log())),
    "-": () => [plot.x_range, plot.y_range].forEach((range, i) => move(range, 0, -0.125, i && log())),
    0: () => [plot.x_range, plot.y_range].forEach((range) => setRange(range, range.reset_start, range.reset_end)),
  };
  element(id).addEventListener("keydown", (event) => {
    if (!acts[event.key] || event.target !== element(id)) return;
    event.preventDefault();
    acts[event.key]();
  });
}
