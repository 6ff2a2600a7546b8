"use strict";
// Charts: Plotly stands packed in the page and is unpacked when the first chart comes near the window. A chart's values stand in words
// beside it, for who has no script; here arrow keys go through its marks, and its legend is reached and pressed by key.
const plots = (() => {
  const boxes = [...document.querySelectorAll(".plot")];
  const figures = new Map(boxes.map((box) => [box, JSON.parse(box.nextElementSibling.textContent)]));
  const drawn = new Map();
  const coarse = matchMedia("(pointer: coarse)").matches;
  const spoken = document.createElement("div");
  spoken.className = "spoken";
  spoken.setAttribute("role", "status");
  if (boxes.length) document.body.append(spoken);

  let library;
  const load = () => library ??= (async () => {
    const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent), (letter) => letter.charCodeAt(0));
    const script = document.createElement("script");
    script.textContent = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
    document.head.append(script);
    return window.Plotly;
  })();

  // Colours are named by variables of the style sheet, looked up where a colour stands and nowhere else. All else is words: Plotly takes
  // some HTML for markup, so they are escaped, and cut or wrapped to the room that there is.
  const narrow = () => document.documentElement.clientWidth < 640;
  const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
  const wrapped = (text, most) => text.split(" ").reduce((lines, word) => {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < most) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(...(word.match(new RegExp(`.{1,${most}}`, "gsu")) ?? [""]));
    return lines;
  }, []).join("\n");
  const fitted = (text, key) => {
    const room = { ticktext: narrow() ? 16 : 24, name: narrow() ? 28 : 44, label: narrow() ? 12 : 20 }[key];
    const shown = key === "hovertext" ? wrapped(text, narrow() ? 34 : 48) : room ? cut(text, room) : text;
    return shown.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("\n", "<br>");
  };
  const dressed = (value, key, style) => {
    if (Array.isArray(value)) return value.map((inner) => dressed(inner, key, style));
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, dressed(inner, name, style)]));
    if (typeof value !== "string") return value;
    const named = /color/.test(key) && /^var\((--[\w-]+)\)$/.exec(value);
    return named ? style.getPropertyValue(named[1]).trim() : fitted(value, key);
  };
  const styled = (box) => {
    const style = getComputedStyle(document.body);
    const theme = dressed(JSON.parse(document.getElementById("plot-theme").textContent), "", style);
    theme.layout.font.family = style.fontFamily;
    const { data, layout } = dressed(figures.get(box), "", style);
    return { data, layout: { ...layout, template: theme, uirevision: "kept", ...(coarse ? { dragmode: false } : {}) } };
  };
  const config = (box) => {
    const buttons = figures.get(box).layout.xaxis ? ["zoom2d", "pan2d", "resetScale2d", "toImage"] : ["toImage"];
    return { responsive: true, displaylogo: false, modeBarButtons: [buttons], toImageButtonOptions: { format: "svg", filename: "chart" } };
  };

  const marks = (box) => figures.get(box).data.flatMap((trace, curveNumber) => {
    if ((box.data[curveNumber].visible ?? true) !== true || !Array.isArray(trace.hovertext)) return [];
    return trace.hovertext.flatMap((told, place) => Array.isArray(told)
      ? told.map((inner, column) => ({ curveNumber, pointNumber: [place, column], told: inner }))
      : told ? [{ curveNumber, pointNumber: place, told }] : []);
  });
  const settle = (box) => {
    document.getElementById("js-plotly-tester")?.setAttribute("aria-hidden", "true");
    for (const drawing of box.querySelectorAll("svg:not([role])")) drawing.setAttribute("role", "presentation");
    for (const toggle of box.querySelectorAll(".legendtoggle")) {
      const entry = toggle.parentElement;
      const told = { tabindex: "0", role: "button", "aria-label": entry.querySelector(".legendtext")?.textContent ?? "series", "aria-pressed": String(Number(entry.style.opacity || 1) === 1) };
      for (const [name, value] of Object.entries(told)) toggle.setAttribute(name, value);
    }
  };

  const start = async (box) => {
    try {
      const Plotly = await load();
      const { data, layout } = styled(box);
      await Plotly.newPlot(box, data, layout, config(box));
      if (box.querySelector(".no-webgl")) throw new Error("parallel coordinates need WebGL");
      settle(box);
      box.on("plotly_afterplot", () => settle(box));
      box.dataset.drawn = "";
      const keyed = data[0].type !== "parcoords" && marks(box).length > 0;
      box.setAttribute("role", keyed ? "application" : "group");
      if (!keyed) return;
      box.tabIndex = 0;
      box.setAttribute("aria-roledescription", "chart, arrow keys go through its marks");
    } catch (error) {
      box.textContent = `This chart could not be drawn here (${error.message}). Its values stand below.`;
    }
  };
  const draw = (box) => {
    if (!drawn.has(box)) drawn.set(box, start(box));
    return drawn.get(box);
  };
  const again = async (box) => {
    await draw(box);
    const { data, layout } = styled(box);
    await window.Plotly?.react(box, data, layout, config(box));
  };

  for (const box of boxes) {
    let at = -1;
    const leave = () => { at = -1; window.Plotly?.Fx.unhover(box); };
    box.addEventListener("blur", leave);
    box.addEventListener("keydown", (event) => {
      if (event.target.classList.contains("legendtoggle") && ["Enter", " "].includes(event.key)) {
        for (const kind of ["mousedown", "mouseup"]) event.target.dispatchEvent(new MouseEvent(kind, { bubbles: true }));
        event.preventDefault();
      }
      if (event.target !== box || box.getAttribute("role") !== "application") return;
      const all = marks(box);
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape") return leave();
      if (!all.length || (!step && event.key !== "Home" && event.key !== "End")) return;
      at = event.key === "Home" ? 0 : event.key === "End" ? all.length - 1 : at < 0 ? (step > 0 ? 0 : all.length - 1) : (at + step + all.length) % all.length;
      const { curveNumber, pointNumber, told } = all[at];
      const plane = box._fullLayout._plots && Object.keys(box._fullLayout._plots)[0];
      window.Plotly.Fx.hover(box, [{ curveNumber, pointNumber }], plane);
      spoken.textContent = told;
      event.preventDefault();
    });
  }

  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) { near.unobserve(entry.target); draw(entry.target); }
  }, { rootMargin: "500px" });
  for (const box of boxes) near.observe(box);
  const all = () => boxes.forEach(draw);
  addEventListener("beforeprint", all);
  matchMedia("print").addEventListener("change", (now) => now.matches && all());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => [...drawn.keys()].forEach(again));

  // What another part of the page changes in a figure is drawn at once, and is still there after the colours changed.
  return { change: (box, how) => { how(figures.get(box)); return again(box); } };
})();
