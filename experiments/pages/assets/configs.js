// Two cells side by side: the fields in which their configs differ, and all others.

function valueOf(field, cell) {
  const found = payload.configs.differ[field];
  return found ? found.values[found.of[cell]] : payload.configs.same[field];
}

function buildConfigs() {
  const pairs = cells.map((cell, i) => [cell.id, `${cell.id}  ${cell.words}`]);
  for (const [i, id] of ["left", "right"].entries()) {
    options(element(id), pairs, state.compared[i] ?? cells[Math.min(i, cells.length - 1)].id);
    element(id).onchange = () => choose({ compared: ["left", "right"].map((side) => element(side).value) });
  }
}

function drawConfigs() {
  const chosen = ["left", "right"].map((side) => position.get(element(side).value)), whole = element("whole").checked;
  const fields = [...Object.keys(payload.configs.differ), ...(whole ? Object.keys(payload.configs.same) : [])];
  const rows = fields.map((field) => [field, ...chosen.map((cell) => valueOf(field, cell))]);
  const kept = rows.filter(([, left, right]) => whole || left !== right);
  element("differences").replaceChildren(
    make("thead", {}, make("tr", {}, ...["field", ...chosen.map((i) => cells[i].id)].map((text) => make("th", { scope: "col", className: "text" }, text)))),
    make("tbody", {}, ...kept.map(([field, left, right]) => make("tr", { className: left === right ? "" : "differs" },
      make("th", { scope: "row", className: "text" }, field), ...[left, right].map((text) => make("td", { className: "text" }, text))))),
  );
  element("no-difference").hidden = kept.length > 0;
}
