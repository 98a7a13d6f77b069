// A picture from the reader's disk, run through the layer here; nothing leaves the page.

const MAX_SIDE = 96; // pixels of the longest side after scaling
const SLICE = 12; // milliseconds of computing before the page may react

// Uniform numbers from 0 to 1, the same ones for every picture (the generator "mulberry32").
function randomNumbers(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

// Noise of the kind that the layer was trained to remove, added to bytes (3, H, W).
function addNoise(bytes, size) {
  const random = randomNumbers(1);
  if (data.noise?.salt_and_pepper) {
    for (let n = 0; n < size; n++) {
      if (random() >= data.noise.salt_and_pepper) continue;
      const byte = random() < 0.5 ? 0 : 255;
      for (const rgb of [0, 1, 2]) bytes[rgb * size + n] = byte;
    }
  }
  if (data.noise?.gaussian) {
    // Box and Muller: a normal number from two uniform ones.
    const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    bytes.forEach((byte, n) => {
      bytes[n] = byte + data.noise.gaussian * normal();
    });
  }
}

// The bytes (3, H, W) of a file's picture, scaled so that its longest side is MAX_SIDE or shorter.
async function pixelsOf(file) {
  const image = await createImageBitmap(file);
  const scale = Math.min(1, MAX_SIDE / Math.max(image.width, image.height));
  const [columns, rows] = [image.width, image.height].map((size) => Math.max(1, Math.round(size * scale)));
  const canvas = make("canvas", { width: columns, height: rows });
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#fff"; // under what is transparent
  pen.fillRect(0, 0, columns, rows);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(image, 0, 0, columns, rows);
  image.close();
  const rgba = pen.getImageData(0, 0, columns, rows).data;
  const size = rows * columns;
  const bytes = Float64Array.from({ length: 3 * size }, (_, n) => rgba[4 * (n % size) + Math.floor(n / size)]);
  return { bytes, rows, columns };
}

function resize(rows, columns) {
  const outputs = (size, axis) => {
    const [K, s, d, p] = ["window", "stride", "dilation", "padding"].map((name) => data.geometry[name][axis]);
    return Math.floor((size + 2 * p - d * (K - 1) - 1) / s) + 1;
  };
  [H, W, H_out, W_out] = [rows, columns, outputs(rows, 0), outputs(columns, 1)];
}

async function choose(file) {
  if (!file) return;
  const escaped = (character) => `\\u${character.codePointAt(0).toString(16).padStart(4, "0")}`;
  const name = file.name.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, escaped); // controls, also of the direction
  setPlaying(false);
  try {
    const { bytes, rows, columns } = await pixelsOf(file);
    addNoise(bytes, rows * columns);
    const { mean, std } = data.colour;
    const x = bytes.map((byte, n) => {
      const rgb = Math.floor(n / (rows * columns));
      return (byte - mean[rgb]) / std[rgb];
    });
    own = name;
    await compute(x, rows, columns);
    const noise = data.noise ? ", with noise as in the training" : "";
    say("about", `Your picture ${own}, ${rows} × ${columns} pixels${noise}; it stays on this device.`);
    $("about").title = $("about").textContent;
  } catch {
    say("about", `${name} cannot be read as a picture.`);
  } finally {
    $("working").hidden = true;
    $("choose").value = "";
  }
}

// Compute a run of x in slices, and show it. Until then the page scrolls, but shows no pixels.
async function compute(x, rows, columns) {
  document.querySelector("main").inert = busy = true;
  $("working").hidden = false;
  resize(rows, columns);
  const next = new Run(x);
  let until = performance.now() + SLICE;
  for (const share of next.steps()) {
    if (performance.now() < until) continue;
    say("about", `Computing every kernel of your picture: ${Math.round(100 * share)} %`);
    $("working").value = share;
    await new Promise((resolve) => setTimeout(resolve));
    until = performance.now() + SLICE;
  }
  adopt(next);
  document.querySelector("main").inert = busy = false;
  const middle = [H_out, W_out].map((size) => Math.floor(size / 2));
  change({ at: middle, other: null, pinned: false, painting: false, ...NO_TAP });
}
