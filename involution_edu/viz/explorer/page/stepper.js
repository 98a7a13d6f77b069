// Pictures one at a time.

const { frames } = JSON.parse(document.getElementById("data").textContent);
const [scrub, picture, caption, count, back, forth] = [
  "scrub",
  "picture",
  "caption",
  "count",
  "back",
  "forth",
].map((id) => document.getElementById(id));

function show(n) {
  scrub.value = n;
  picture.src = frames[n].picture;
  picture.alt = caption.textContent = frames[n].caption;
  count.textContent = `${n + 1} of ${frames.length}`;
  back.disabled = n === 0;
  forth.disabled = n === frames.length - 1;
}

scrub.max = frames.length - 1;
scrub.addEventListener("input", () => show(Number(scrub.value)));
back.addEventListener("click", () => show(Number(scrub.value) - 1));
forth.addEventListener("click", () => show(Number(scrub.value) + 1));
show(0);
