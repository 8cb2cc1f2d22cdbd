"use strict";
// Asks how far the run is, and loads the pictures of an image whole before either is shown: before and after are always
// of the same frame.
const PAUSE = 300, GONE_AFTER = 5;
const at = (id) => document.getElementById(id);
let shown = 0, missed = 0;

async function loaded(which, number) {
  const picture = new Image();
  picture.src = `${which}.jpg?n=${number}`;
  await picture.decode();
  return picture.src;
}

async function look() {
  const answer = await fetch("state");
  if (!answer.ok) throw new Error(answer.statusText);
  const state = await answer.json();
  if (state.number === shown) return;
  const [before, after] = await Promise.all([loaded("before", state.number), loaded("after", state.number)]);
  at("before").src = before;
  at("after").src = after;
  at("name").textContent = state.name;
  at("part").textContent = state.parts > 1 ? `frame ${state.part} of ${state.parts}` : "";
  at("progress").value = state.part / state.parts;
  at("pictures").hidden = false;
  shown = state.number;
}

async function follow() {
  try {
    await look();
    missed = 0;
  } catch {
    missed += 1;
  }
  if (missed < GONE_AFTER) setTimeout(follow, PAUSE);
  else at("state").textContent = "The run has ended; this is the last image that was seen. The terminal says where the results are.";
}

follow();
