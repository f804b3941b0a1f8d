(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const plots = [...document.querySelectorAll(".plot")];
  // Where a finger is the pointer, dragging shall scroll the page.
  const touch = matchMedia("(pointer: coarse)").matches;
  const drawn = new Set();
  const draw = (plot) => {
    if (drawn.has(plot) || !plot.clientWidth) return;
    drawn.add(plot);
    const { data, layout } = figures[plot.id];
    const wide = plot.clientWidth >= 700;
    if (plot.clientWidth < 500) {
      for (const [part, options] of Object.entries(layout.meta?.narrow ?? {})) {
        layout[part] = { ...layout[part], ...options };
      }
    }
    Plotly.newPlot(plot, data, { ...layout, dragmode: touch ? false : "zoom" }, {
      responsive: true,
      displaylogo: false,
      displayModeBar: wide && !touch ? "hover" : false,
      modeBarButtons: [["toImage"], ["zoom2d", "pan2d", "resetScale2d"]],
    });
  };
  // A page may have a hundred plots: each is drawn when it comes near, or its part is unfolded.
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) {
        seen.unobserve(entry.target);
        draw(entry.target);
      }
    }
  }, { rootMargin: "800px" });
  plots.forEach((plot) => seen.observe(plot));
  // A page that is printed is narrower, and plots do not notice by themselves.
  const resize = (size) => drawn.forEach((plot) => Plotly.relayout(plot, size(plot)));
  addEventListener("beforeprint", () => {
    plots.forEach(draw);
    resize((plot) => ({ width: plot.closest(".small") ? 210 : 640, height: plot.style.height ? parseInt(plot.style.height) : 330 }));
  });
  addEventListener("afterprint", () => resize(() => ({ width: null, height: null, autosize: true })));
})();
