"use strict";

// Pointing at a node, or moving to it with the keyboard, tells what it is and shows its links.
const details = JSON.parse(document.getElementById("details").textContent);
const told = document.getElementById("told");
const picture = document.getElementById("picture");
const drawings = [...document.querySelectorAll(".drawing")];
for (const title of document.querySelectorAll(".spot title")) title.remove();  // for readers without a script

function mark(index) {
  const near = new Set([index]);
  for (const drawing of drawings) {
    drawing.classList.toggle("pointed", index !== null);
    for (const line of drawing.querySelectorAll(".line")) {
      const ends = line.dataset.ends.split(" ");
      const mine = ends.includes(index);
      line.classList.toggle("near", mine);
      if (mine) ends.forEach((end) => near.add(end));
    }
  }
  for (const node of document.querySelectorAll("[data-node]")) {
    const own = node.matches("tr") ? node.dataset.node === index : near.has(node.dataset.node);
    node.classList.toggle("near", own);
  }
}

function tell(spot) {
  const { name, lines } = details[spot.dataset.node];
  const heading = Object.assign(document.createElement("b"), { textContent: name });
  told.replaceChildren(heading, ...lines.map((line) => Object.assign(document.createElement("div"), { textContent: line })));
  told.hidden = false;
  const frame = picture.getBoundingClientRect(), at = spot.querySelector(".dot").getBoundingClientRect();
  const left = Math.max(0, Math.min(at.left + at.width / 2 - told.offsetWidth / 2 - frame.left, frame.width - told.offsetWidth));
  const above = at.top - frame.top - told.offsetHeight - 8;
  told.style.left = `${left}px`;
  told.style.top = `${at.top - told.offsetHeight - 8 < 0 ? at.bottom - frame.top + 22 : above}px`;
}

function leave() {
  told.hidden = true;
  mark(null);
}

for (const node of document.querySelectorAll("[data-node]")) {
  const point = () => {
    mark(node.dataset.node);
    if (node.matches(".spot")) tell(node);
  };
  node.addEventListener("pointerenter", point);
  node.addEventListener("focus", point);
  node.addEventListener("pointerleave", leave);
  node.addEventListener("blur", leave);
}
addEventListener("keydown", (event) => event.key === "Escape" && leave());
