// Copying and printing with one press. Without it, the link is selected by hand.
(() => {
  "use strict";
  const copy = async (input) => {
    input.select();
    try {
      await navigator.clipboard.writeText(input.value);
      return true;
    } catch { // an address without https has no clipboard
      return document.execCommand("copy");
    }
  };
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    const input = document.getElementById(button.dataset.copy);
    const say = document.querySelector(`[data-copied="${button.dataset.copy}"]`);
    input.addEventListener("focus", () => input.select());
    button.addEventListener("click", async () => {
      say.textContent = await copy(input) ? "已复制，去粘贴吧。" : "浏览器不让复制，请选中链接自己复制。";
    });
  }
  for (const button of document.querySelectorAll("[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => print());
  }
})();
