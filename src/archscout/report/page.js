(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const plots = [...document.querySelectorAll(".plot")];
  // Where a finger is the pointer, dragging shall scroll the page.
  const touch = matchMedia("(pointer: coarse)").matches;
  for (const plot of plots) {
    const { data, layout } = figures[plot.id];
    const wide = plot.clientWidth >= 700;
    Plotly.newPlot(plot, data, { ...layout, dragmode: touch ? false : "zoom" }, {
      responsive: true,
      displaylogo: false,
      displayModeBar: wide && !touch ? "hover" : false,
      modeBarButtons: [["toImage"], ["zoom2d", "pan2d", "resetScale2d"]],
    });
  }
  // A page that is printed is narrower, and plots do not notice by themselves.
  const resize = (size) => plots.forEach((plot) => Plotly.relayout(plot, size));
  addEventListener("beforeprint", () => resize({ width: 640, height: 330 }));
  addEventListener("afterprint", () => resize({ width: null, height: null, autosize: true }));
})();
