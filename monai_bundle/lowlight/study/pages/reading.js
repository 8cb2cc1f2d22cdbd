"use strict";
// View: both images are zoomed, moved and windowed together; keys; what may be answered when. sending.js sends it.
(() => {
  const frames = [...document.querySelectorAll(".frame")];
  const images = frames.map((frame) => frame.querySelector("img"));
  const answer = document.getElementById("answer");
  const sliders = Object.fromEntries(["brightness", "contrast", "zoom"].map((id) => [id, document.getElementById(id)]));
  const form = answer.querySelector('input[name="form"]').value;
  const LARGEST = 16;
  let scale = 1, left = 0, top = 0;  // left and top in shares of a frame, so that frames of any size agree

  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

  function show() {
    left = clamp(left, 1 - scale, 0);
    top = clamp(top, 1 - scale, 0);
    sliders.zoom.value = (100 * Math.log(scale)) / Math.log(LARGEST);
    const brightness = 2 ** (sliders.brightness.value / 50), contrast = 2 ** (sliders.contrast.value / 50);
    frames.forEach((frame, index) => {
      const style = images[index].style;
      style.transform = `translate(${left * frame.clientWidth}px, ${top * frame.clientHeight}px) scale(${scale})`;
      style.filter = brightness === 1 && contrast === 1 ? "none" : `brightness(${brightness}) contrast(${contrast})`;
      style.imageRendering = scale > 3 ? "pixelated" : "auto";
    });
  }

  function zoomTo(wanted, x, y) {
    const next = clamp(wanted, 1, LARGEST);
    left = x - ((x - left) * next) / scale;
    top = y - ((y - top) * next) / scale;
    scale = next;
    show();
  }

  function reset() {
    scale = 1; left = 0; top = 0;
    sliders.brightness.value = 0; sliders.contrast.value = 0;
    show();
  }

  function place(frame, event) {
    const box = frame.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  for (const frame of frames) {
    const pointers = new Map();
    frame.addEventListener("wheel", (event) => {
      event.preventDefault();
      zoomTo(scale * 2 ** (-event.deltaY / 300), ...place(frame, event));
    }, { passive: false });
    frame.addEventListener("contextmenu", (event) => event.preventDefault());
    frame.addEventListener("dblclick", reset);
    frame.addEventListener("pointerdown", (event) => {
      frame.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, { at: place(frame, event), windowing: event.button === 2 || event.shiftKey });
    });
    frame.addEventListener("pointermove", (event) => {
      const held = pointers.get(event.pointerId);
      if (!held) return;
      const now = place(frame, event), before = held.at;
      const moved = [now[0] - before[0], now[1] - before[1]];
      if (pointers.size === 2) {
        const other = [...pointers].find(([id]) => id !== event.pointerId)[1].at;
        const distance = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]);
        zoomTo((scale * distance(now)) / Math.max(distance(before), 1e-3), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
        left += moved[0] / 2; top += moved[1] / 2;
      } else if (held.windowing) {
        sliders.contrast.value = Number(sliders.contrast.value) + 200 * moved[0];
        sliders.brightness.value = Number(sliders.brightness.value) - 200 * moved[1];
      } else {
        left += moved[0]; top += moved[1];
      }
      held.at = now;
      show();
    });
    for (const kind of ["pointerup", "pointercancel"]) frame.addEventListener(kind, (event) => pointers.delete(event.pointerId));
  }
  sliders.brightness.addEventListener("input", show);
  sliders.contrast.addEventListener("input", show);
  sliders.zoom.addEventListener("input", () => zoomTo(LARGEST ** (sliders.zoom.value / 100), 0.5, 0.5));
  document.getElementById("reset").addEventListener("click", reset);
  addEventListener("resize", show);

  // Nothing is answered before it can be seen, and nothing twice.
  const buttons = [...answer.querySelectorAll("button")];
  const seen = () => images.every((image) => image.complete && image.naturalWidth > 0);
  const unlock = () => { buttons.forEach((button) => { button.disabled = !seen(); }); document.body.dataset.ready = String(seen()); };
  images.forEach((image) => { image.addEventListener("load", unlock); image.addEventListener("error", unlock); });
  unlock();
  // A picture may fail to come over a poor connection: it is asked for again, and until then nothing can be answered.
  // One that the server does not give is told by the page that it gives instead.
  images.forEach((image) => image.addEventListener("error", async () => {
    await sending.pause();
    const found = await sending.reply(image.src);
    if (sending.now) return;
    if (found.ok) image.src = image.src;
    else location.replace("/read");
  }));
  const criteria = [...answer.querySelectorAll("fieldset")];
  const next = () => criteria.find((part) => !part.querySelector("input:checked"));
  const mark = () => criteria.forEach((part) => part.classList.toggle("next", part === next()));
  let given = false;
  const give = () => { given = true; mark(); };
  answer.addEventListener("change", give);
  // Browsers fill in anew what a page held that was gone back to, and may bring back the page itself: grades that were
  // not given to this item do not stay.
  const empty = () => { if (!given) answer.reset(); mark(); };
  empty();
  addEventListener("pagehide", () => { given = false; empty(); });
  addEventListener("pageshow", (event) => {
    empty();
    if (event.persisted) location.replace("/read");
  });

  function press(id) {
    const button = document.getElementById(id);
    if (button && !button.disabled) button.click();
  }
  addEventListener("keydown", (event) => {
    if (event.repeat || event.altKey || event.metaKey || sending.now) return;
    const key = event.key.toLowerCase();
    if (event.ctrlKey) { if (key === "z") { event.preventDefault(); press("undo"); } return; }
    // Arrow keys on a slider or a scale are that control's own.
    const typing = event.target instanceof HTMLInputElement && key.startsWith("arrow");
    if (key === "u") press("undo");
    else if (key === "p") press("pause");
    else if (key === "r") reset();
    else if (key === "+" || key === "=") zoomTo(scale * 1.25, 0.5, 0.5);
    else if (key === "-") zoomTo(scale / 1.25, 0.5, 0.5);
    else if (criteria.length) {
      if (key >= "1" && key <= "5" && next()) { next().querySelector(`input[value="${key}"]`).checked = true; give(); }
      else if (key === "backspace") {
        const last = criteria.filter((part) => part.querySelector("input:checked")).pop();
        if (last) { last.querySelector("input:checked").checked = false; mark(); }
      } else if (key === "enter" && event.target.id !== "save" && !next()) { event.preventDefault(); press("save"); }
    } else if (!typing && (key === "arrowleft" || key === "1")) press("left");
    else if (!typing && (key === "arrowright" || key === "2")) press("right");
  });

  const post = (path, more) => fetch(path, {
    method: "POST", body: new URLSearchParams({ form, ...more }), keepalive: true, redirect: "manual",
  });
  const alive = (more) => post("/alive", more).then(
    (reply) => { if (!sending.now && (reply.status === 409 || reply.status === 403)) location.replace("/read"); }, () => {},
  );
  setInterval(alive, 30000, {});
  // Nobody looks at a hidden page: its clock stops, until somebody does. Going to the next page hides this one, too.
  document.addEventListener("visibilitychange", () => {
    if (sending.now) return;
    if (document.visibilityState === "hidden") post("/pause", { away: "1" }).catch(() => {});
    else alive({ back: "1" });
  });
  show();
})();
