// A second tap does nothing while the first is on its way. The pages work
// without this: the form's key makes the second tap harmless too.
(() => {
  "use strict";
  document.addEventListener("submit", (e) => {
    const ask = e.submitter && e.submitter.dataset.confirm;
    if (ask && !confirm(ask)) return e.preventDefault();
    if (e.target.method === "post") setTimeout(() => e.target.querySelectorAll("button").forEach((b) => (b.disabled = b.dataset.sent = true)));
  });
  addEventListener("pageshow", () => document.querySelectorAll("button[data-sent]").forEach((b) => { b.disabled = false; delete b.dataset.sent; }));
})();
