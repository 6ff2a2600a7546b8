// What the page adds to tables that are whole without it, and the threshold of a confusion matrix: no number is made here that it lacks.
(() => {
  for (const plot of document.querySelectorAll(".plot[data-steps]")) {
    const steps = JSON.parse(plot.dataset.steps);
    const box = document.createElement("div");
    box.className = "threshold";
    box.innerHTML = '<label>Threshold <input type="range" min="0" step="1"></label> <output></output> <button type="button">As it was scored</button>';
    const [slider, told, reset] = [box.querySelector("input"), box.querySelector("output"), box.querySelector("button")];
    slider.max = steps.length - 1;
    const start = steps.reduce((best, step, k) => (Math.abs(step[0] - plot.dataset.called) < Math.abs(steps[best][0] - plot.dataset.called) ? k : best), 0);
    let before;
    const scored = () => {
      slider.value = start;
      if (before) plots.change(plot, (figure) => { figure.data[0] = { ...figure.data[0], ...before }; });
      told.textContent = "move it to call more, or fewer";
    };
    const move = () => {
      const [threshold, found, alarms, missed, rejected] = steps[slider.value];
      const counts = [[rejected, alarms], [missed, found]];
      const shares = counts.map((row) => row.map((n) => n / Math.max(1, row[0] + row[1])));
      const texts = counts.map((row, k) => row.map((n, j) => `${n.toLocaleString("en")}\n${Math.round(100 * shares[k][j])} %`));
      plots.change(plot, ({ data: [heat], layout }) => {
        before ??= { z: heat.z, text: heat.text, hovertext: heat.hovertext };
        const names = layout.xaxis.ticktext;
        const hovertext = counts.map((row, k) => row.map((n, j) => `${names[k]}, called ${names[j]}: ${n.toLocaleString("en")} rows, ${Math.round(100 * shares[k][j])} % of the class`));
        Object.assign(heat, { z: shares, text: texts, hovertext });
      });
      const precision = found + alarms ? (found / (found + alarms)).toFixed(3) : "–";
      const recall = found + missed ? (found / (found + missed)).toFixed(3) : "–";
      told.textContent = `${threshold.toFixed(2)}: precision ${precision}, recall ${recall}`;
    };
    slider.addEventListener("input", move);
    reset.addEventListener("click", scored);
    scored();
    plot.after(box);
  }

  const reachable = () => {
    for (const box of document.querySelectorAll(".scroll, .graph")) {
      const hidden = box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1;
      const named = box.querySelector("caption")?.textContent ?? box.querySelector("svg")?.getAttribute("aria-label") ?? box.closest("details")?.querySelector("summary").textContent ?? "Table";
      const told = { tabindex: "0", role: "region", "aria-label": named.trim().slice(0, 80) };
      for (const [name, value] of Object.entries(told)) hidden ? box.setAttribute(name, value) : box.removeAttribute(name);
    }
  };
  reachable();
  addEventListener("resize", reachable);
  document.addEventListener("toggle", reachable, true);

  for (const head of document.querySelectorAll("table.board thead th, table.columns thead th, table.worst thead th")) {
    const table = head.closest("table");
    const place = [...head.parentElement.children].indexOf(head);
    if (table.tBodies[0].rows.length < 4 || head.classList.contains("chartcol")) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.textContent = head.textContent;
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows].filter((row) => !row.classList.contains("axisrow"));
      const key = (row) => row.cells[place].textContent.trim();
      const number = (text) => (/^[<>]?[-−+]?[\d,.]/.test(text) ? parseFloat(text.replace(/[<>,]/g, "").replace("−", "-")) : NaN);
      rows.sort((a, b) => {
        const [x, y] = [number(key(a)), number(key(b))];
        return (Number.isNaN(x) || Number.isNaN(y) ? key(a).localeCompare(key(b), "en") : x - y) * (down ? -1 : 1);
      });
      const last = table.tBodies[0].querySelector(".axisrow");
      for (const row of rows) table.tBodies[0].insertBefore(row, last);
    });
    head.replaceChildren(button);
  }
})();
