// Keys and saving while typing. Everything here is a convenience: every page works without it.
"use strict";
(() => {
  const SAVE_AFTER_MS = 2000;
  const SWITCH = "lpse-shortcuts"; // "off" when somebody switched the keys off (WCAG 2.1.4)

  const enabled = () => localStorage.getItem(SWITCH) !== "off";
  const typing = (element) =>
    element.closest("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]") !== null;

  function target(key) {
    for (const element of document.querySelectorAll("[aria-keyshortcuts]")) {
      const keys = element.getAttribute("aria-keyshortcuts").split(" ");
      if (keys.includes(key) && !element.disabled && !element.closest("dialog")) return element;
    }
    return null;
  }

  function act(element) {
    if (element.matches("input")) return element.focus();
    if (element.matches("summary")) {
      const panel = element.parentElement;
      panel.open = !panel.open;
      const first = panel.open && panel.querySelector("input:not([type=hidden]), textarea, button");
      return first ? first.focus() : element.focus();
    }
    element.click();
  }

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      for (const panel of document.querySelectorAll("details.action[open]")) {
        panel.open = false;
        panel.querySelector("summary").focus();
      }
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !enabled()) return;
    if (typing(event.target) || document.querySelector("dialog[open]")) return;
    const element = target(event.key.length === 1 ? event.key.toLowerCase() : event.key);
    if (element === null) return;
    event.preventDefault();
    act(element);
  });

  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog]");
    const dialog = opener && document.getElementById(opener.dataset.dialog);
    if (dialog) {
      event.preventDefault();
      event.stopImmediatePropagation();
      const box = dialog.querySelector("#shortcuts");
      if (box) box.checked = enabled();
      dialog.showModal();
    }
    for (const panel of document.querySelectorAll("details.action[open]")) {
      if (!panel.contains(event.target)) panel.open = false;
    }
  }, true);

  document.addEventListener("change", (event) => {
    if (event.target.id === "shortcuts") localStorage.setItem(SWITCH, event.target.checked ? "on" : "off");
  });

  // One save at a time, the newest text last; what could not be saved is tried again with the next key or blur.
  let timer = 0;
  let saving = Promise.resolve();
  let saved = new WeakMap();

  function save(area) {
    clearTimeout(timer);
    const text = area.value;
    if (!area.isConnected || saved.get(area) === text || !text.trim()) return;
    const line = document.getElementById("saved");
    saving = saving.then(async () => {
      try {
        const answer = await fetch(area.dataset.autosave, { method: "POST", body: new URLSearchParams(new FormData(area.form)) });
        const words = await answer.text();
        if (answer.ok) saved.set(area, text);
        // Anything longer is a page: the session is gone, and with it the right to save.
        if (line) line.textContent = words.length < 200 ? words : area.dataset.unsaved;
      } catch {
        if (line) line.textContent = area.dataset.unsaved;
        timer = setTimeout(() => save(area), SAVE_AFTER_MS);
      }
    });
  }

  document.addEventListener("input", (event) => {
    if (!event.target.matches("[data-autosave]")) return;
    clearTimeout(timer);
    timer = setTimeout(() => save(event.target), SAVE_AFTER_MS);
  });
  document.addEventListener("focusout", (event) => {
    if (event.target.matches("[data-autosave]")) save(event.target);
  });
  addEventListener("pagehide", () => {
    const area = document.querySelector("[data-autosave]");
    if (area && area.value.trim() && area.value !== area.defaultValue && saved.get(area) !== area.value) {
      navigator.sendBeacon(area.dataset.autosave, new URLSearchParams(new FormData(area.form)));
    }
  });

  // A new page in the old document: readers of the screen begin at its heading, as they would with a real page.
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.detail.target !== document.body) return;
    const focused = document.querySelector("[autofocus]") || document.getElementById("main");
    if (focused) focused.focus({ preventScroll: true });
    scrollTo(0, 0);
  });
})();
