"use strict";
// What the page adds to charts and tables that are whole without it: no mark is drawn and no number is made here that the page lacks.
(() => {
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  const spoken = document.createElement("div");
  spoken.className = "spoken";
  spoken.setAttribute("role", "status");
  document.body.append(tip, spoken);

  const middle = (mark) => {
    const box = mark.getBoundingClientRect();
    return [box.left + box.width / 2, box.top + box.height / 2];
  };

  const show = (chart, mark) => {
    for (const on of chart.querySelectorAll(".on")) on.classList.remove("on");
    tip.hidden = !mark;
    if (!mark) return;
    const same = mark.dataset.k === undefined ? [mark] : chart.querySelectorAll(`[data-k="${mark.dataset.k}"]`);
    for (const part of same) part.classList.add("on");
    tip.textContent = mark.dataset.t;
    const [x, y] = middle(mark);
    const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
    tip.style.left = `${Math.max(8, Math.min(room, x - tip.offsetWidth / 2)) + scrollX}px`;
    tip.style.top = `${(y > tip.offsetHeight + 20 ? y - tip.offsetHeight - 12 : y + 12) + scrollY}px`;
  };

  for (const chart of document.querySelectorAll("svg.plane")) {
    const marks = () => [...chart.querySelectorAll("[data-t]")].filter((mark) => !mark.closest(".off"));
    let at = -1;
    const near = (event) => {
      let best = null, least = 60 * 60;
      for (const mark of marks()) {
        const [x, y] = middle(mark);
        const far = (x - event.clientX) ** 2 + (y - event.clientY) ** 2;
        if (far < least) [best, least] = [mark, far];
      }
      show(chart, best);
    };
    chart.addEventListener("pointermove", near);
    chart.addEventListener("pointerdown", near);
    chart.addEventListener("pointerleave", () => show(chart, null));
    chart.addEventListener("blur", () => { at = -1; show(chart, null); });
    chart.addEventListener("keydown", (event) => {
      const all = marks();
      const down = chart.classList.contains("tree") ? 1 : -1;
      const step = { ArrowRight: 1, ArrowUp: -down, ArrowLeft: -1, ArrowDown: down }[event.key];
      if (event.key === "Escape") { at = -1; show(chart, null); return; }
      if (!all.length || (!step && event.key !== "Home" && event.key !== "End")) return;
      at = event.key === "Home" ? 0 : event.key === "End" ? all.length - 1 : at < 0 ? (step > 0 ? 0 : all.length - 1) : (at + step + all.length) % all.length;
      show(chart, all[at]);
      spoken.textContent = all[at].dataset.t;
      event.preventDefault();
    });
  }

  for (const entry of document.querySelectorAll(".legend li")) {
    const series = entry.closest("figure").querySelectorAll(`svg [data-s="${entry.dataset.s}"]`);
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = entry.textContent;
    button.setAttribute("aria-pressed", "true");
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      for (const part of series) part.classList.toggle("off", !on);
    });
    entry.replaceChildren(button);
  }

  for (const table of document.querySelectorAll("table.confusion[data-steps]")) {
    const steps = JSON.parse(table.dataset.steps);
    const cells = [...table.querySelectorAll("td.heat")];
    const before = cells.map((cell) => cell.innerHTML);
    const shares = cells.map((cell) => cell.style.getPropertyValue("--share"));
    const box = document.createElement("div");
    box.className = "threshold";
    box.innerHTML = '<label>Threshold <input type="range" min="0" step="1"></label> <output></output> <button type="button">As it was scored</button>';
    const [slider, told, reset] = [box.querySelector("input"), box.querySelector("output"), box.querySelector("button")];
    slider.max = steps.length - 1;
    const start = steps.reduce((best, step, k) => (Math.abs(step[0] - table.dataset.called) < Math.abs(steps[best][0] - table.dataset.called) ? k : best), 0);
    const scored = () => {
      slider.value = start;
      cells.forEach((cell, k) => { cell.innerHTML = before[k]; cell.style.setProperty("--share", shares[k]); });
      told.textContent = "move it to call more, or fewer";
    };
    const move = () => {
      const [threshold, found, alarms, missed, rejected] = steps[slider.value];
      const counts = [rejected, alarms, missed, found];
      cells.forEach((cell, k) => {
        const share = counts[k] / Math.max(1, counts[k] + counts[k ^ 1]);
        cell.innerHTML = `<b>${counts[k].toLocaleString("en")}</b> <small>${Math.round(100 * share)} %</small>`;
        cell.style.setProperty("--share", share.toFixed(3));
      });
      const precision = found + alarms ? (found / (found + alarms)).toFixed(3) : "–";
      const recall = found + missed ? (found / (found + missed)).toFixed(3) : "–";
      told.textContent = `${threshold.toFixed(2)}: precision ${precision}, recall ${recall}`;
    };
    slider.addEventListener("input", move);
    reset.addEventListener("click", scored);
    scored();
    table.parentElement.after(box);
  }

  const reachable = () => {
    for (const box of document.querySelectorAll(".scroll, .graph")) {
      const hidden = box.scrollWidth > box.clientWidth + 1;
      const told = { tabindex: "0", role: "region", "aria-label": (box.querySelector("caption")?.textContent ?? box.querySelector("svg")?.getAttribute("aria-label") ?? "Table").trim().slice(0, 80) };
      for (const [name, value] of Object.entries(told)) hidden ? box.setAttribute(name, value) : box.removeAttribute(name);
    }
  };
  reachable();
  addEventListener("resize", reachable);

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
