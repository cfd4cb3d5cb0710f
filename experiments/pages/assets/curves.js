// The curves of the cells that are shown, or their means over seeds with a 95 % t band.

const MARKS = { diverged: "x", stuck: "square" };

function metric() {
  return payload.metrics.find((one) => one.name === state.metric) ?? payload.metrics[0];
}

function isLog() {
  return state.log ?? metric().log;
}

function lineOf(i) {
  const length = cells[i].length[state.x] ?? NaN;
  const xs = curve(i, "step").map((step) => step * length);
  return { cells: [i], xs, ys: smoothed(curve(i, metric().name), state.smooth) };
}

function drawCurves() {
  const lines = view.shown.filter((i) => curveLength[i]).map(lineOf), axis = colourAxis();
  const means = state.mean ? groupsOf(lines).map(meanOf) : [];
  const colour = (line) => hue(axis.of[line.cells[0]]);
  const drawn = [
    ...lines.map((line) => ({ ...line, width: state.mean ? 0.6 : 1, alpha: state.mean ? 0.35 : 0.8 })),
    ...means.map((line) => ({ ...line, width: 2.2, alpha: 1 })),
  ];
  fill("lines", {
    xs: drawn.map((line) => line.xs), ys: drawn.map((line) => line.ys), colour: drawn.map(colour),
    dash: drawn.map((line) => dash(axis.of[line.cells[0]])), width: drawn.map((line) => line.width),
    alpha: drawn.map((line) => line.alpha), cell: drawn.map((line) => line.cells.map((i) => cells[i].id).join(" ")),
    text: drawn.map((line) => line.words ?? cells[line.cells[0]].words),
    status: drawn.map((line) => [...new Set(line.cells.map((i) => cells[i].status))].join(", ")),
  });
  const bands = means.map(bandOf).filter((band) => band.xs.length);
  fill("bands", { xs: bands.map((b) => b.xs), ys: bands.map((b) => b.ys), colour: bands.map(colour) });
  markEnds(lines.filter((line) => cells[line.cells[0]].status in MARKS), colour);
  placeCurves(drawn);
}

// The lines that differ in their seed alone; none where a seed failed: its arm has no mean but of survivors.
function groupsOf(lines) {
  const others = axes.slice(0, -1).filter((_, i) => !payload.seeds.includes(i)), groups = new Map();
  const place = (i) => others.map((axis) => axis.of[i]).join(" ");
  const failed = new Set(view.shown.filter((i) => cells[i].status === "failed").map(place));
  for (const line of lines) {
    const at = place(line.cells[0]);
    if (!failed.has(at)) groups.set(at, [...(groups.get(at) ?? []), line]);
  }
  return [...groups.values()];
}

// Mean and half-width of the t interval at each step; NaN from the first bad step of any seed on.
function meanOf(lines) {
  const n = lines.length, longest = lines.reduce((a, b) => (b.xs.length > a.xs.length ? b : a));
  const ys = new Float32Array(longest.xs.length), half = new Float32Array(longest.xs.length);
  for (let t = 0; t < ys.length; t++) {
    const values = lines.map((line) => (t < line.ys.length ? line.ys[t] : NaN));
    ys[t] = values.reduce((a, b) => a + b, 0) / n;
    const squares = values.reduce((sum, value) => sum + (value - ys[t]) ** 2, 0);
    half[t] = n > 1 ? payload.student[Math.min(n - 1, payload.student.length) - 1] * Math.sqrt(squares / (n - 1) / n) : 0;
  }
  const seeds = payload.seeds.map((i) => `${axes[i].name}=`), words = cells[longest.cells[0]].words.split(", ");
  const same = words.filter((word) => !seeds.some((seed) => word.startsWith(seed)));
  return { cells: lines.flatMap((line) => line.cells), xs: longest.xs, ys, half, words: `mean over ${n} seeds, ${same.join(", ")}` };
}

function bandOf({ cells, xs, ys, half }) {
  const end = ys.findIndex((y) => !Number.isFinite(y)), stop = end < 0 ? ys.length : end;
  const low = [], high = [], at = Array.from(xs.subarray(0, stop));
  for (let t = 0; t < stop; t++) {
    low.push(ys[t] - half[t]);
    high.push(ys[t] + half[t]);
  }
  return { cells, xs: [...at, ...at.toReversed()], ys: [...high, ...low.reverse()] };
}

function markEnds(lines, colour) {
  const ends = lines.map((line) => ({ line, t: line.ys.findLastIndex((y) => Number.isFinite(y)) })).filter(({ t }) => t >= 0);
  fill("marks", {
    x: ends.map(({ line, t }) => line.xs[t]), y: ends.map(({ line, t }) => line.ys[t]),
    marker: ends.map(({ line }) => MARKS[cells[line.cells[0]].status]), colour: ends.map(({ line }) => colour(line)),
    cell: ends.map(({ line }) => cells[line.cells[0]].id), text: ends.map(({ line }) => cells[line.cells[0]].words),
    status: ends.map(({ line }) => cells[line.cells[0]].status),
  });
}

// Ranges: all of x; of y what comes after the first tenth, since every run falls from the same height.
function placeCurves(lines) {
  const plot = model("curves"), log = isLog(), entropies = metric().entropies ? payload.references : [];
  const tails = lines.map((line) => line.ys.subarray(Math.floor(line.ys.length / 10)));
  const late = joined(tails).filter((y) => Number.isFinite(y) && (!log || y > 0));
  plot.left[0].axis_label = metric().label;
  plot.below[0].axis_label = payload.x.find((one) => one.name === state.x).label;
  setScale(plot, log);
  for (const name of [0, 1, 2, 3]) {
    const one = entropies[name];
    Object.assign(model(`reference_${name}`), { visible: !!one, location: one?.value ?? 0, line_color: ofPage("faint") });
  }
  const key = JSON.stringify([state.metric, state.x, log, state.smooth, state.picked, state.hidden, dark.matches]);
  if (!late.length || placeCurves.last === key) return;
  placeCurves.last = key;
  const top = [...quantiles(late, 0, 0.995), ...entropies.map((one) => one.value)];
  fit(plot.y_range, top, log);
  fit(plot.x_range, lines.flatMap((line) => [line.xs[0], line.xs.at(-1)]), false, 0.02);
}
