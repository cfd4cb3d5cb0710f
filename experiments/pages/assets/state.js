// What the reader has chosen. It outlives a reload of the page, also where cells were added meanwhile.

const KEPT = `flax_tx ${payload.name}`;
const unchosen = () => ({
  metric: payload.metrics[0].name, x: "step", smooth: 0.9, log: null, mean: false, colour: axes[payload.colour].field,
  hidden: {}, picked: null, cell: null, diagnostic: payload.layers.names[0], compared: [null, null],
});
const state = { ...unchosen(), ...kept() };
const everyCell = cells.map((_, i) => i);
const position = new Map(cells.map((cell, i) => [cell.id, i]));

function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT)) ?? {};
  } catch {
    return {};
  }
}

function keep() {
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(state));
  } catch {
    // a browser may forbid a file to store anything; then a reload starts anew
  }
}

function isHidden(axis, value) {
  return (state.hidden[axis.field] ?? []).includes(axis.values[value]);
}

// The cells that are shown, and the one whose layers are.
const view = { shown: everyCell, cell: 0 };
function look() {
  const picked = state.picked && new Set(state.picked.map((id) => position.get(id)));
  const hidden = axes.map((axis) => axis.values.map((_, value) => isHidden(axis, value)));
  view.shown = everyCell.filter((i) => (!picked || picked.has(i)) && !axes.some((axis, a) => hidden[a][axis.of[i]]));
  view.cell = position.get(state.cell) ?? view.shown.find((i) => payload.layers.shape[i][0]) ?? view.shown[0] ?? 0;
}

function colourAxis() {
  return axes.find((axis) => axis.field === state.colour) ?? axes[payload.colour];
}

// Redraws what depends on the choice; the parts are in the order in which they are drawn.
const parts = [];
function choose(change) {
  Object.assign(state, change);
  keep();
  parts.forEach((part) => part());
}
