"use strict";
// Forms are sent by this script, so that the page stays while the server is away, and sends again what was not taken.
// Without it they are plain forms. A server that was killed may have taken what is sent again: it knows, and takes
// nothing twice.
const sending = (() => {
  const AGAIN_MS = 2000, PATIENCE_MS = 15000;
  const note = document.getElementById("away");
  let now = false;

  const pause = () => new Promise((resolve) => { setTimeout(resolve, AGAIN_MS); });

  // What the server replies to a request, however long it is away.
  async function reply(path, options) {
    for (;;) {
      const patience = new AbortController();
      const timer = setTimeout(() => patience.abort(), PATIENCE_MS);
      try {
        const found = await fetch(path, { redirect: "manual", signal: patience.signal, ...options });
        note.hidden = true;
        return found;
      } catch {
        note.hidden = false;
        await pause();
      } finally {
        clearTimeout(timer);
      }
    }
  }

  document.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (now) return;
    now = true;
    const form = event.target, pressed = event.submitter;
    const body = new URLSearchParams(new FormData(form));
    if (pressed && pressed.name) body.append(pressed.name, pressed.value);
    // What is on the screen stays what was sent.
    document.querySelectorAll("body > :not(#away)").forEach((part) => { part.inert = true; });
    const path = new URL(form.action).pathname;
    const found = await reply(path, { method: "POST", body });
    if (found.type === "opaqueredirect") location.replace(path === "/end" ? "/" : "/read");
    else {
      // Not taken, and why, in the server's own words.
      const page = new DOMParser().parseFromString(await found.text(), "text/html");
      document.body.replaceWith(page.body);
    }
  });

  return { reply, pause, get now() { return now; } };
})();
