// The payload, unpacked: every number of every cell as it was recorded.

const payload = JSON.parse(document.getElementById("payload").textContent);
const { cells, axes } = payload;
const element = (id) => document.getElementById(id);

async function unpacked(text) {
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Float32Array(await new Response(stream).arrayBuffer());
}

const numbers = await unpacked(payload.numbers);
const columnOf = ([start, length]) => numbers.subarray(start, start + length);
const columnsOf = (columns) => Object.fromEntries(Object.entries(columns).map(([name, at]) => [name, columnOf(at)]));

function starts(lengths) {
  let total = 0;
  return lengths.map((length) => (total += length) - length);
}

const curveLength = payload.curves.length;
const curveStart = starts(curveLength);
const curves = columnsOf(payload.curves.columns);

const layerStart = starts(payload.layers.shape.map(([chunks, layers]) => chunks * layers));
const { step: layerSteps, ...layers } = columnsOf(payload.layers.columns);

function curve(cell, name) {
  return curves[name].subarray(curveStart[cell], curveStart[cell] + curveLength[cell]);
}

function layerRows(cell, column) {
  const [chunks, depth] = payload.layers.shape[cell];
  return column.subarray(layerStart[cell], layerStart[cell] + chunks * depth);
}

// Bias-corrected moving average; NaN from the first value on that is not finite.
function smoothed(values, decay) {
  const out = new Float32Array(values.length).fill(NaN);
  let sum = 0, weight = 0;
  for (let t = 0; t < values.length && Number.isFinite(values[t]); t++) {
    sum = decay * sum + values[t];
    weight = decay * weight + 1;
    out[t] = sum / weight;
  }
  return out;
}

function joined(arrays) {
  const at = starts(arrays.map((array) => array.length)), all = new Float32Array(arrays.reduce((sum, a) => sum + a.length, 0));
  arrays.forEach((array, i) => all.set(array, at[i]));
  return all;
}

function quantiles(values, ...shares) {
  const sorted = Float32Array.from(values).sort();
  return shares.map((q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]);
}
