// The controls of the curves: plain elements of HTML, so that keyboard and screen reader know them.

function make(name, properties = {}, ...children) {
  const { dataset, style, ...rest } = properties, made = Object.assign(document.createElement(name), rest);
  Object.assign(made.dataset, dataset);
  for (const [property, value] of Object.entries(style ?? {})) made.style.setProperty(property, value);
  made.append(...children);
  return made;
}

function options(select, pairs, chosen) {
  select.replaceChildren(...pairs.map(([value, text]) => make("option", { value, textContent: text, selected: value === chosen })));
}

function buildControls() {
  options(element("metric"), payload.metrics.map((one) => [one.name, one.label]), metric().name);
  options(element("x"), payload.x.map(({ name, label }) => [name, label.split(" (")[0]]), state.x);
  options(element("colour"), axes.map((axis) => [axis.field, axis.name]), colourAxis().field);
  element("smooth").value = state.smooth;
  element("metric").onchange = (event) => choose({ metric: event.target.value, log: null });
  element("x").onchange = (event) => choose({ x: event.target.value });
  element("colour").onchange = (event) => choose({ colour: event.target.value });
  element("smooth").oninput = (event) => choose({ smooth: Number(event.target.value) });
  element("log").onchange = (event) => choose({ log: event.target.checked });
  element("mean").onchange = (event) => choose({ mean: event.target.checked });
  element("everything").onclick = () => choose({ hidden: {}, picked: null });
  element("references")?.replaceChildren(...payload.references.map((one, i) =>
    make("span", { className: `reference line-${i}`, textContent: `${one.name} ${one.value.toFixed(3)}` })));
  element("filters").replaceChildren(...axes.map(filter));
}

// One axis: a button per value that hides its cells or shows them, and one that shows no other.
function filter(axis) {
  const legend = make("legend", { textContent: axis.name }), buttons = axis.values.map((text, value) => {
    const button = make("button", { type: "button", className: "value", dataset: { field: axis.field, value } }, text);
    button.title = "click: hide or show; with Shift: this one alone";
    button.onclick = (event) => choose({ hidden: { ...state.hidden, [axis.field]: toggled(axis, value, event.shiftKey) } });
    return button;
  });
  return make("fieldset", {}, legend, ...buttons);
}

function toggled(axis, value, alone) {
  const text = axis.values[value], hidden = state.hidden[axis.field] ?? [];
  if (alone) return axis.values.filter((other) => other !== text);
  return hidden.includes(text) ? hidden.filter((other) => other !== text) : [...hidden, text];
}

function drawControls() {
  const coloured = colourAxis(), { shown } = view;
  for (const button of element("filters").querySelectorAll("button")) {
    const axis = axes.find((one) => one.field === button.dataset.field), value = Number(button.dataset.value);
    button.ariaPressed = String(!isHidden(axis, value));
    button.classList.toggle("coloured", axis === coloured);
    button.style.setProperty("--hue", hue(value));
    button.style.setProperty("--dash", dash(value).length ? "dashed" : "solid");
  }
  element("log").checked = isLog();
  element("mean").checked = state.mean;
  element("mean").disabled = !payload.seeds.length;
  element("smoothed").value = state.smooth ? state.smooth.toFixed(2) : "none";
  const without = shown.filter((i) => !curveLength[i]).length;
  const which = state.picked ? `, those of ${state.why ?? "the table"}` : "";
  element("count").textContent = `${shown.length} of ${cells.length} cells${which}`
    + (without ? `; ${without} without a curve` : "");
  element("everything").disabled = shown.length === cells.length;
}
