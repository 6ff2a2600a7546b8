"use strict";
// What the page adds to what the server drew: order and filter of the list, the feed of a run, the zoom of a timeline.
// Everything that comes in was drawn by the server's templates, where text from runs is escaped; the page's policy lets no script in it run.
(() => {
  const byId = (id) => document.getElementById(id);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const duration = (seconds) => {
    const s = Math.max(0, Math.floor(seconds)), m = Math.floor(s / 60), h = Math.floor(m / 60);
    return h ? `${h} h ${m % 60} min` : m ? `${m} min ${s % 60} s` : `${s} s`;
  };

  // Clocks that go on between two words of the server.
  setInterval(() => {
    for (const clock of all("[data-since]")) clock.textContent = duration(Date.now() / 1000 - Number(clock.dataset.since));
  }, 1000);

  // An element made of the server's text takes the place of the one with its id; what was unfolded in it stays so.
  const place = (text) => {
    const made = document.createElement("template");
    made.innerHTML = text;
    const fresh = made.content.firstElementChild;
    if (!fresh) return null;
    const old = byId(fresh.id);
    if (!old) {
      byId(fresh.dataset.into)?.append(fresh);
      return fresh;
    }
    for (const was of all("details[open][data-key]", old)) {
      const same = all("details[data-key]", fresh).find((one) => one.dataset.key === was.dataset.key);
      if (!same) continue;
      if (same.dataset.src && was.dataset.loaded) same.replaceChildren(...was.childNodes), same.dataset.loaded = "yes";
      same.open = true;
    }
    const scrolled = all("pre.output", old)[0];
    old.replaceWith(fresh);
    const output = all("pre.output", fresh)[0];
    if (output) output.scrollTop = scrolled && scrolled.scrollTop + scrolled.clientHeight < scrolled.scrollHeight - 8 ? scrolled.scrollTop : output.scrollHeight;
    return fresh;
  };

  // Code and output of a cell come when they are asked for.
  document.addEventListener("toggle", async (event) => {
    const box = event.target;
    if (!(box instanceof HTMLDetailsElement) || !box.open || !box.dataset.src || box.dataset.loaded) return;
    const answer = await fetch(box.dataset.src);
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const cell = page.getElementById("cell");
    if (!cell) return;
    cell.removeAttribute("id");
    box.dataset.loaded = "yes";
    box.replaceChildren(box.querySelector("summary"), document.adoptNode(cell));
  }, true);

  // The feed of a run. A hidden page lets go of it, since a browser keeps few lines to one server, and goes on where it was.
  const feed = () => {
    const from = document.body.dataset.feed;
    let after = Number(document.body.dataset.after), source = null, over = false;
    const say = (words) => { const status = byId("feed"); if (status && status.textContent !== words) status.textContent = words; };
    const close = () => { source?.close(); source = null; };
    const open = () => {
      if (source || over || document.hidden) return;
      source = new EventSource(`${from}${from.includes("?") ? "&" : "?"}after=${after}`);
      source.onopen = () => say("live");
      source.onerror = () => say(source && source.readyState === EventSource.CLOSED ? "no connection" : "connecting again …");
      source.addEventListener("part", (event) => {
        if (event.lastEventId) after = Number(event.lastEventId);
        const fresh = place(event.data);
        if (fresh?.id === "trace") zoom();
        if (byId("follow")?.checked && fresh?.classList.contains("turn")) fresh.scrollIntoView({ block: "end" });
      });
      source.addEventListener("over", () => { over = true; close(); say(""); document.body.dataset.state = "over"; });
      source.addEventListener("reset", () => { over = true; close(); location.reload(); });
    };
    document.addEventListener("visibilitychange", () => document.hidden ? close() : open());
    addEventListener("pagehide", close);
    open();
  };

  // The list: its order, its filter, and its rows anew while the page is looked at.
  const list = () => {
    let order = null;
    const show = () => {
      const body = byId("rows"), words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean), state = byId("state").value;
      const rows = all("tr", body);
      if (order) {
        const value = (row) => row.children[order.at].dataset.v ?? "";
        const number = (row) => value(row) === "" ? NaN : Number(value(row));
        rows.sort((a, b) => {
          if (order.kind !== "number") return order.way * value(a).localeCompare(value(b));
          const [x, y] = [number(a), number(b)];
          return Number.isNaN(x) ? (Number.isNaN(y) ? 0 : 1) : Number.isNaN(y) ? -1 : order.way * (x - y);
        });
        body.append(...rows);
      }
      let shown = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !(words.every((word) => text.includes(word)) && (!state || row.dataset.state === state));
        if (!row.hidden) shown += 1;
      }
      byId("count").textContent = shown === rows.length ? `${rows.length} run${rows.length === 1 ? "" : "s"}` : `${shown} of ${rows.length} runs`;
      byId("comparing").disabled = all("input[name=run]:checked", body).length < 2;
    };
    for (const button of all("[data-sort]")) button.addEventListener("click", () => {
      const at = Number(button.dataset.sort), kind = button.dataset.kind;
      const way = order?.at === at ? -order.way : kind === "number" ? -1 : 1;
      order = { at, kind, way };
      for (const head of all("#runs thead th")) head.removeAttribute("aria-sort");
      button.closest("th").setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
      show();
    });
    for (const id of ["filter", "state"]) byId(id).addEventListener("input", show);
    byId("filter").addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
    byId("runs").addEventListener("change", show);
    let before = "";
    setInterval(async () => {
      if (document.hidden || byId("rows").contains(document.activeElement)) return;
      let text;
      try {
        const answer = await fetch("/rows");
        if (!answer.ok) return;
        text = await answer.text();
      } catch { return; }
      if (text === before) return;
      before = text;
      const picked = new Set(all("input[name=run]:checked").map((box) => box.value));
      place(text);
      for (const box of all("#rows input[name=run]")) box.checked = picked.has(box.value);
      show();
    }, 3000);
    show();
  };

  // The timeline: the time that is shown, and how deep.
  let shown = null;
  const zoom = () => {
    const trace = byId("trace");
    if (!trace) return;
    const whole = [Number(trace.dataset.began), Number(trace.dataset.end)];
    const [from, to] = shown ?? whole, depth = Number(byId("depth").value);
    const share = (at) => 100 * (at - from) / Math.max(to - from, 1e-7);
    for (const span of all(".span", trace)) {
      const start = Number(span.dataset.start), end = Number(span.dataset.end);
      span.hidden = Number(span.dataset.depth) > depth || end < from || start > to;
      const bar = span.querySelector("rect"), left = Math.max(0, share(start));
      bar.setAttribute("x", `${left.toFixed(3)}%`);
      bar.setAttribute("width", `${Math.max(0.15, Math.min(100, share(end)) - left).toFixed(3)}%`);
    }
    for (const text of all(".ticks text", trace)) text.style.display = shown ? "none" : "";
    byId("whole").disabled = !shown;
  };
  const timeline = () => {
    byId("depth").addEventListener("input", zoom);
    byId("whole").addEventListener("click", () => { shown = null; zoom(); });
    document.addEventListener("click", (event) => {
      const span = event.target.closest?.(".span .name")?.closest(".span");
      if (!span) return;
      shown = [Number(span.dataset.start), Math.max(Number(span.dataset.end), Number(span.dataset.start) + 1e-6)];
      zoom();
    });
    document.addEventListener("keydown", (event) => { if (event.key === "Escape") { shown = null; zoom(); } });
    zoom();
  };

  if (byId("runs")) list();
  if (byId("trace")) timeline();
  if (document.body.dataset.feed) feed();
})();
