// The preview follows what is typed.
(() => {
  "use strict";
  const form = document.querySelector("form[data-keyword]");
  const talk = document.querySelector("[data-preview]");
  if (!form || !talk) return;
  const bubble = (text, kind) => {
    const p = document.createElement("p");
    p.className = "bubble " + kind;
    p.textContent = text;
    return p;
  };
  form.addEventListener("input", () => {
    const replies = form.elements.replies.value.split(/^[^\S\n]*---[^\S\n]*$/m).map((r) => r.trim()).filter(Boolean);
    talk.replaceChildren(bubble(form.elements.pattern.value.trim() || "……", "own"),
      ...(replies.length ? replies.map((r) => bubble(r, "")) : [bubble("写下回复，这里就能看到", "quiet")]));
  });
})();
