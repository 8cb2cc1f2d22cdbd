"use strict";
addEventListener("keydown", (event) => {
  if (event.repeat || event.altKey || event.metaKey || event.ctrlKey) return;
  const onButton = event.target instanceof HTMLButtonElement;
  if (event.key.toLowerCase() === "p" || (event.key === "Enter" && !onButton)) document.getElementById("resume").click();
});
