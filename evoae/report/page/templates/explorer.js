// The latent explorer: the decoder draws at the point of the latent map that is pointed at.

function setUpExplorer(figure) {
  const box = figure.querySelector(".explorer");
  if (!box) return;
  const explorer = JSON.parse(box.dataset.explorer);
  const [channels, height, width] = explorer.shape;
  const svg = figure.querySelector("svg");
  const [canvas, readout] = [box.querySelector("canvas"), box.querySelector(".readout")];
  canvas.width = width;
  canvas.height = height;
  const side = svg.viewBox.baseVal.width;
  const place = [...explorer.start];
  const cursor = element("circle", { r: 7, class: "here" });
  svg.append(cursor);

  const part = (i) => (place[i] - explorer.low[i]) / (explorer.high[i] - explorer.low[i]);
  const show = () => {
    const [x, y] = [part(0), part(1)];
    cursor.setAttribute("cx", x * side);
    cursor.setAttribute("cy", (1 - y) * side);
    const latent = findLatent(explorer, place);
    readout.textContent = `Latent ${latent.map((value) => value.toFixed(3)).join(", ")}`;
    drawPixels(canvas, explorer.grid ? drawGrid(explorer, x, y) : decode(explorer, latent), channels);
  };
  const move = (x, y) => {
    [x, y].forEach((part, i) => {
      const inside = Math.min(1, Math.max(0, part));
      place[i] = explorer.low[i] + inside * (explorer.high[i] - explorer.low[i]);
    });
    show();
  };
  const point = (event) => {
    const { left, top, width, height } = svg.getBoundingClientRect();
    move((event.clientX - left) / width, 1 - (event.clientY - top) / height);
  };
  svg.addEventListener("pointerdown", point);
  svg.addEventListener("pointermove", point);
  svg.setAttribute("tabindex", "0");
  svg.setAttribute("role", "application");
  svg.setAttribute("aria-label", "Latent map: the arrow keys move the point at which the decoder draws");
  svg.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const [right, up] = steps[event.key].map((step) => step * (event.shiftKey ? 0.1 : 0.02));
    move(part(0) + right, part(1) + up);
  });
  explorer.sliders.forEach(([least, most], i) => {
    const label = document.createElement("label");
    const slider = Object.assign(document.createElement("input"), {
      type: "range", min: least, max: most, step: "any", value: place[2 + i],
    });
    slider.addEventListener("input", () => {
      place[2 + i] = Number(slider.value);
      show();
    });
    label.append(`component ${3 + i}`, slider);
    box.querySelector(".choices").append(label);
  });
  box.querySelector(".choices").hidden = !explorer.sliders.length;
  box.hidden = false;
  if (!explorer.grid) return show();
  const image = new Image();
  image.onload = () => {
    explorer.pixels = readPixels(image, channels);
    show();
  };
  image.src = figure.querySelector(".backdrop").getAttribute("href");
}

/** The latent at a place on the map, and of the sliders. */
function findLatent({ centre, axes }, place) {
  return centre.map((value, i) => axes.reduce((sum, axis, k) => sum + axis[i] * place[k], value));
}

/** The image of a latent, [channels * height * width] from 0 to 1, by the layers of the decoder. */
function decode(explorer, latent) {
  if (typeof explorer.weights === "string") {
    const bytes = Uint8Array.from(atob(explorer.weights), (letter) => letter.charCodeAt(0));
    explorer.weights = new Float32Array(bytes.buffer);
  }
  let [values, shape] = [latent, [latent.length]];
  for (const step of explorer.layers) {
    const kernel = explorer.weights.subarray(step.kernel);
    const after = LAYERS[step.kind](step, values, shape, kernel);
    if (step.bias !== null) {
      const area = after.length / step.biases;
      after.forEach((value, i) => (after[i] = value + explorer.weights[step.bias + Math.floor(i / area)]));
    }
    [values, shape] = [after.map(ACTIVATIONS[step.activation]), step.shape];
  }
  const [low, high] = explorer.range;
  return values.map((value) => (value - low) / (high - low));
}

const ACTIVATIONS = {
  linear: (x) => x,
  relu: (x) => Math.max(x, 0),
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  tanh: Math.tanh,
};

const LAYERS = {
  Dense: (step, x, shape, kernel) => Array.from({ length: step.shape[0] }, (_, unit) =>
    x.reduce((sum, value, i) => sum + kernel[unit * x.length + i] * value, 0)),

  Reshape: (step, x) => x,

  Crop: (step, x, [, height, width]) => pick(step.shape, (c, y, z) => x[(c * height + y) * width + z]),

  Unpool: (step, x, [, height, width]) => pick(step.shape, (c, y, z) =>
    x[(c * height + Math.floor(y / step.size)) * width + Math.floor(z / step.size)]),

  ConvTranspose(step, x, [channels, height, width], kernel) {
    const [outputs, rows, columns] = step.shape;
    const { group, features, side, unpool, crop } = step;
    const after = new Array(outputs * rows * columns).fill(0);
    for (let c = 0; c < channels; c++) {
      for (let f = 0; f < features; f++) {
        const output = (Math.floor(c / group) * features + f) * rows;
        const first = ((c % group) * features + f) * side * side;
        for (let y = 0; y < height * unpool; y++) {
          for (let z = 0; z < width * unpool; z++) {
            const value = x[(c * height + Math.floor(y / unpool)) * width + Math.floor(z / unpool)];
            for (let i = 0; i < side; i++) {
              const row = y * step.stride + i - crop;
              if (row < 0 || row >= rows) continue;
              for (let j = 0; j < side; j++) {
                const column = z * step.stride + j - crop;
                if (column < 0 || column >= columns) continue;
                after[(output + row) * columns + column] += kernel[first + i * side + j] * value;
              }
            }
          }
        }
      }
    }
    return after;
  },
};

function pick([channels, height, width], value) {
  return Array.from({ length: channels * height * width }, (_, i) =>
    value(Math.floor(i / (height * width)), Math.floor(i / width) % height, i % width));
}

/** The image between the four nearest ones of a grid of images, for decoders of other layers. */
function drawGrid({ grid, shape, pixels }, x, y) {
  const [, height, width] = shape;
  const [column, row] = [x, 1 - y].map((part) => Math.min(grid - 1, Math.max(0, part * grid - 0.5)));
  const [left, top] = [Math.min(grid - 2, Math.floor(column)), Math.min(grid - 2, Math.floor(row))];
  return pick(shape, (c, i, j) => {
    const at = (down, right) => pixels[c][((top + down) * height + i) * grid * width + (left + right) * width + j];
    const [across, down] = [column - left, row - top];
    return (1 - down) * ((1 - across) * at(0, 0) + across * at(0, 1)) + down * ((1 - across) * at(1, 0) + across * at(1, 1));
  });
}

function readPixels(image, channels) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  return Array.from({ length: channels }, (_, c) =>
    Float32Array.from({ length: data.length / 4 }, (_, i) => data[4 * i + c] / 255));
}

function drawPixels(canvas, values, channels) {
  const context = canvas.getContext("2d");
  const picture = context.createImageData(canvas.width, canvas.height);
  const area = canvas.width * canvas.height;
  for (let i = 0; i < area; i++) {
    for (let c = 0; c < 3; c++) picture.data[4 * i + c] = Math.round(255 * values[(channels === 1 ? 0 : c) * area + i]);
    picture.data[4 * i + 3] = 255;
  }
  context.putImageData(picture, 0, 0);
}
