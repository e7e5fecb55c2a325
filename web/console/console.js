// What makes the console quicker to use. Every page works without it.
(() => {
  "use strict";
  const root = document.documentElement;

  // Light or dark at once, remembered for the next page.
  document.addEventListener("submit", (e) => {
    if (!e.target.matches("form[data-theme-form]")) return;
    e.preventDefault();
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    const next = dark ? "light" : "dark";
    root.dataset.theme = next;
    e.target.elements.theme.value = dark ? "dark" : "light";
    document.cookie = "theme=" + next + ";path=/console;max-age=34560000;samesite=lax" + (location.protocol === "https:" ? ";secure" : "");
  });

  // Ask before what cannot be undone; a second press does nothing.
  document.addEventListener("submit", (e) => {
    const ask = e.submitter && e.submitter.dataset.confirm;
    if (e.defaultPrevented) return;
    if (ask && !confirm(ask)) return e.preventDefault();
    if (e.target.method !== "post") return;
    setTimeout(() => e.target.querySelectorAll("button").forEach((b) => (b.disabled = b.dataset.sent = true)));
  });
  addEventListener("pageshow", () => document.querySelectorAll("button[data-sent]").forEach((b) => { b.disabled = false; delete b.dataset.sent; }));

  // A choice in a filter is a choice made.
  document.addEventListener("change", (e) => {
    if (e.target.matches("form[data-auto] select")) e.target.form.requestSubmit();
  });

  // The bar of actions on several rows shows while rows are chosen.
  const count = () => {
    for (const bar of document.querySelectorAll("[data-bulk]")) {
      const n = bar.closest("form").querySelectorAll("td input[type=checkbox]:checked").length;
      bar.hidden = n === 0;
      const out = bar.querySelector("[data-count]");
      if (out) out.textContent = "已选 " + n + " 项";
    }
  };
  document.addEventListener("change", (e) => {
    if (e.target.matches("th input[type=checkbox]")) {
      e.target.closest("table").querySelectorAll("td input[type=checkbox]").forEach((b) => (b.checked = e.target.checked));
    }
    count();
  });
  count();

  // A live page shows itself anew while somebody looks at it and types nothing.
  const seconds = Number(document.body.dataset.live);
  const refresh = async () => {
    const busy = document.hidden || document.activeElement.matches("input, select, textarea") || !getSelection().isCollapsed;
    if (!busy) {
      try {
        const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
        if (answer.ok && !answer.redirected) {
          const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-fresh]");
          const old = document.querySelector("[data-fresh]");
          if (fresh && old) old.replaceWith(document.adoptNode(fresh));
        }
      } catch { /* the next try may reach it */ }
    }
    setTimeout(refresh, seconds * 1000);
  };
  if (seconds) setTimeout(refresh, seconds * 1000);
})();
