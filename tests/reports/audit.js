// What a page owes its readers, as a list of complaints: run in the page itself, where styles and widths are what a reader gets.
(() => {
  const complaints = [];
  const told = (what, node) => complaints.push(`${what}: <${node.tagName.toLowerCase()} class="${node.getAttribute("class") ?? ""}"> ${node.textContent.trim().slice(0, 60)}`);
  const visible = (node) => node.checkVisibility({ opacityProperty: true, visibilityProperty: true });

  const page = document.documentElement;
  if (page.scrollWidth > page.clientWidth) complaints.push(`the page is ${page.scrollWidth} wide in a window of ${page.clientWidth}`);
  for (const part of ["header", "nav[aria-label]", "main", "footer"]) if (document.querySelectorAll(`body ${part}`).length < 1) complaints.push(`no ${part}`);
  if (document.querySelectorAll("h1").length !== 1) complaints.push("not one h1");
  if (!page.lang || !document.title.trim()) complaints.push("no language or no title");
  let level = 0;
  for (const heading of document.querySelectorAll("h1, h2, h3, h4")) {
    const now = Number(heading.tagName[1]);
    if (now > level + 1) told("a level of headings is left out", heading);
    level = now;
  }
  for (const cell of document.querySelectorAll("th")) if (!["row", "col"].includes(cell.scope)) told("a header cell without scope", cell);
  for (const image of document.querySelectorAll("img")) if (!image.alt.trim()) told("no alternative text", image);
  for (const drawing of document.querySelectorAll("svg[role=img]")) if (!drawing.getAttribute("aria-label")?.trim()) told("a chart without a label", drawing);
  for (const drawing of document.querySelectorAll("svg:not([role])")) if (!drawing.closest("[aria-hidden=true], [role=img]")) told("a drawing that is neither hidden nor labelled", drawing);
  for (const control of document.querySelectorAll("button, summary, a, input"))
    if (visible(control) && !control.textContent.trim() && !control.labels?.length && !control.getAttribute("aria-label")) told("a control without a name", control);
  for (const box of document.querySelectorAll("body *")) {
    const style = getComputedStyle(box);
    const scrolls = ["auto", "scroll"].includes(style.overflowX) && box.scrollWidth > box.clientWidth + 1;
    if (scrolls && visible(box) && box.tabIndex < 0 && !box.querySelector("a, button, summary")) told("no key reaches what scrolls", box);
  }
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  for (const id of new Set(ids)) if (ids.filter((one) => one === id).length > 1) complaints.push(`two elements are called ${id}`);

  // Contrast by WCAG 2.2, 1.4.3: 4.5, and 3 for large text. Colours are read from a canvas, which knows every notation.
  const brush = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    brush.clearRect(0, 0, 1, 1);
    brush.fillStyle = colour;
    brush.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = brush.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (front, back) => [0, 1, 2].map((k) => front[k] * front[3] + back[k] * (1 - front[3])).concat(1);
  const ground = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((back, front) => over(front, back), rgba(getComputedStyle(page).getPropertyValue("--paper") || "white"));
  };
  const light = (colour) => [0.2126, 0.7152, 0.0722].reduce((sum, weight, k) => {
    const part = colour[k] / 255;
    return sum + weight * (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  }, 0);
  const seen = new Set();
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (words.nextNode()) {
    const node = words.currentNode.parentElement;
    if (!words.currentNode.data.trim() || seen.has(node) || ["SCRIPT", "STYLE"].includes(node.tagName) || !visible(node)) continue;
    seen.add(node);
    const style = getComputedStyle(node);
    const back = ground(node);
    const front = over(rgba(node instanceof SVGElement ? style.fill : style.color), back);
    const [high, low] = [light(front), light(back)].sort((a, b) => b - a);
    const ratio = (high + 0.05) / (low + 0.05);
    const size = parseFloat(style.fontSize);
    const needed = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    if (ratio < needed - 0.005) told(`contrast ${ratio.toFixed(2)}, needs ${needed}`, node);
  }
  return complaints;
})()
