// The cells that are shown, as rows; and what shows cells: the numbers of the tables, the squares, a tap on a curve.

const LISTED = 60;
const shownNumber = (value) => (value === null || value === undefined ? "" : value.toFixed(4));

function drawCells() {
  if (!element("listed").open) return;
  const { shown } = view, head = ["cell", ...axes.map((axis) => axis.name), "val_loss", "final train_loss"];
  const rows = shown.slice(0, LISTED).map((i) => {
    const button = make("button", { type: "button", className: "cell", ariaPressed: String(i === view.cell) }, cells[i].id);
    button.onclick = () => choose({ cell: cells[i].id });
    const values = axes.map((axis) => make("td", { className: "text" }, axis.values[axis.of[i]]));
    const numbers = [cells[i].val_loss, cells[i].final_train_loss].map((value) => make("td", {}, shownNumber(value)));
    return make("tr", {}, make("td", { className: "text" }, button), ...values, ...numbers);
  });
  element("cells").replaceChildren(
    make("thead", {}, make("tr", {}, ...head.map((text, i) => make("th", { scope: "col", className: i <= axes.length ? "text" : "" }, text)))),
    make("tbody", {}, ...rows),
  );
  element("more").textContent = shown.length > LISTED ? `and ${shown.length - LISTED} more; filter to see them` : "";
}

function link() {
  element("listed").ontoggle = drawCells;
  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-cells]");
    if (!target) return;
    const ids = target.dataset.cells.split(" ");
    choose({ picked: ids, hidden: {}, cell: ids[0], why: target.dataset.why });
    element("curves-section").scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    element("count").focus({ preventScroll: true });
  });
  const lines = model("lines");
  lines.selected.properties.indices.change.connect(() => {
    const [first] = lines.selected.indices;
    if (first !== undefined) choose({ cell: lines.data.cell[first].split(" ")[0] });
  });
}

function drawPicked() {
  const picked = (state.picked ?? []).join(" ");
  for (const one of document.querySelectorAll("[data-cells]")) one.ariaPressed = String(one.dataset.cells === picked);
}
