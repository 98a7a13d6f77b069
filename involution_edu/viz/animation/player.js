"use strict";
// Every image but the first shows only what changed, so a frame is all images up to it.
const animation = JSON.parse(document.getElementById("animation").textContent);
const [canvas, caption, play, scrub, count] = ["canvas", "caption", "play", "scrub", "count"].map(
  (id) => document.getElementById(id),
);
const pen = canvas.getContext("2d");
const last = animation.images.length - 1;
let drawn = -1; // the frame on the canvas
let wanted = 0; // the frame that was asked for last
let timer = null;

const images = animation.images.map(async (source) => {
  const image = new Image();
  image.src = source;
  await image.decode();
  return image;
});

async function show(frame) {
  const target = (wanted = Math.min(Math.max(frame, 0), last));
  const all = await Promise.all(images.slice(0, target + 1)); // the first frame waits for no other
  if (target !== wanted) return;
  if (target < drawn) drawn = -1;
  while (drawn < target) pen.drawImage(all[++drawn], 0, 0);
  scrub.value = drawn;
  count.value = `${drawn + 1} / ${last + 1}`;
  if (caption.textContent !== animation.captions[drawn]) caption.textContent = animation.captions[drawn];
}

function stop() {
  clearTimeout(timer);
  timer = null;
  play.textContent = "play";
}

async function step() {
  await show(drawn === last ? 0 : drawn + 1);
  if (drawn === last) stop();
  if (timer !== null) timer = setTimeout(step, animation.milliseconds[drawn]);
}

function toggle() {
  if (timer !== null) return stop();
  play.textContent = "pause";
  timer = setTimeout(step, drawn === last ? 0 : animation.milliseconds[drawn]);
}

function go(frame) {
  stop();
  show(frame);
}

play.addEventListener("click", toggle);
document.getElementById("back").addEventListener("click", () => go(drawn - 1));
document.getElementById("forward").addEventListener("click", () => go(drawn + 1));
scrub.addEventListener("input", () => go(Number(scrub.value)));
document.addEventListener("keydown", (event) => {
  const keys = { ArrowLeft: () => go(drawn - 1), ArrowRight: () => go(drawn + 1), " ": toggle };
  const presses = event.key === " " && event.target.tagName === "BUTTON"; // the button itself
  if (!(event.key in keys) || presses || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  keys[event.key]();
});

show(0).then(() => {
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) toggle();
});
