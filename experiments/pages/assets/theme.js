// Colours: Okabe and Ito's for cells, which most readers tell apart, and those of the page for the figures.

const HUES = ["ink", "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
const DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3]];
const dark = matchMedia("(prefers-color-scheme: dark)");
const ofPage = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function hue(value) {
  const colour = HUES[value % HUES.length];
  return colour === "ink" ? ofPage("ink") : colour;
}

function dash(value) {
  return DASHES[Math.floor(value / HUES.length) % DASHES.length];
}

function dress(plot) {
  const ink = ofPage("ink"), faint = ofPage("faint"), rule = ofPage("rule");
  Object.assign(plot, { background_fill_color: null, border_fill_color: null, outline_line_color: null, border_line_color: null });
  for (const axis of [...plot.left, ...plot.below]) {
    Object.assign(axis, {
      axis_line_color: faint, major_tick_line_color: faint, minor_tick_line_color: null, axis_label_text_color: ink,
      major_label_text_color: ink, axis_label_text_font_style: "normal", major_label_text_font_size: "12px",
      axis_label_text_font_size: "13px",
    });
  }
  for (const grid of plot.center.filter((one) => "grid_line_color" in one)) grid.grid_line_color = rule;
  for (const bar of plot.right) Object.assign(bar, { background_fill_color: null, major_label_text_color: ink });
}
