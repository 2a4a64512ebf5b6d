"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const root = document.documentElement;
  const field = document.getElementById("filter");
  const only = document.getElementById("only");
  const status = document.getElementById("status");
  const clauseId = /^[a-z][a-z0-9]*(-[a-z]?\d+)+$/;

  const matcher = (query) => {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean).map((word) => {
      if (!clauseId.test(word)) return (text) => text.includes(word);
      const whole = new RegExp(`(^|[^a-z0-9-])${word}($|[^a-z0-9])`);
      return (text) => whole.test(text);
    });
    return (text) => words.every((word) => word(text));
  };
  const apply = () => {
    const matches = matcher(field.value);
    let shown = 0;
    for (const item of all("[data-text]")) {
      const keep = matches(item.dataset.text) && !(only.checked && item.dataset.rank > 0);
      item.hidden = !keep;
      shown += keep && item.matches("details.finding");
    }
    status.textContent = field.value ? `${shown} findings` : "";
  };
  field.addEventListener("input", apply);
  only.addEventListener("change", apply);
  for (const link of all("[data-clause]")) {
    link.addEventListener("click", () => { field.value = link.dataset.clause; apply(); });
  }
  addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== field) { event.preventDefault(); field.focus(); }
    if (event.key === "Escape" && document.activeElement === field) { field.value = ""; apply(); }
  });

  const value = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.key ?? cell.textContent.trim();
  };
  for (const head of all("th[data-sort]")) {
    head.tabIndex = 0;
    const sort = () => {
      const body = head.closest("table").tBodies[0];
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of all("th", head.parentNode)) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const order = new Intl.Collator(undefined, { numeric: true }).compare;
      const column = head.cellIndex;
      body.append(...[...body.rows].sort((a, b) => order(value(a, column), value(b, column)) * (up ? 1 : -1)));
    };
    head.addEventListener("click", sort);
    head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
  }

  const openAll = (open) => { for (const item of all("details")) item.open = open; };
  document.getElementById("expand").addEventListener("click", () => openAll(true));
  document.getElementById("collapse").addEventListener("click", () => openAll(false));
  addEventListener("beforeprint", () => openAll(true));

  const dark = matchMedia("(prefers-color-scheme: dark)");
  document.getElementById("theme").addEventListener("click", () => {
    const now = root.dataset.theme ?? (dark.matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
  });
  for (const button of all("button[data-copy]")) {
    button.addEventListener("click", async (event) => {
      event.preventDefault();
      const label = button.textContent;
      try { await navigator.clipboard.writeText(button.dataset.copy); button.textContent = "copied"; }
      catch { button.textContent = "not permitted"; }
      setTimeout(() => { button.textContent = label; }, 1200);
    });
  }

  const follow = () => {
    const item = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (item && item.matches("details")) { item.open = true; item.scrollIntoView(); }
  };
  addEventListener("hashchange", follow);
  follow();
  root.dataset.ready = "yes";
})();
