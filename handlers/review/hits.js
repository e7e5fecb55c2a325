// One key each: 1 to 4 press the buttons.
(() => {
  "use strict";
  document.addEventListener("keydown", (e) => {
    if (e.repeat || e.altKey || e.ctrlKey || e.metaKey || e.target.matches?.("input:not([type=checkbox]), textarea, select")) return;
    const button = document.querySelector('form[data-hits] button[data-key="' + CSS.escape(e.key) + '"]');
    if (button && !button.disabled) button.click();
  });
})();
