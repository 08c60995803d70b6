"use strict";
// Without this script only what moves is missing: the cursor on the curve, the film, the
// choice of feature maps, and, while a run goes on, the look for a newer page.

const SVG = "http://www.w3.org/2000/svg";
const PLAY_SECONDS = 8;

function setUp(root) {
  root.querySelectorAll(".curve").forEach(setUpCurve);
  root.querySelectorAll(".film").forEach(setUpFilm);
  root.querySelectorAll(".maps").forEach(setUpMaps);
  root.querySelectorAll(".latent").forEach(setUpExplorer);
  root.querySelectorAll(".command").forEach(setUpCopy);
}

// Curve

function setUpCurve(figure) {
  const readout = figure.querySelector(".readout");
  const hint = "Point at the curve, or choose it and use the arrow keys, to read its values.";
  readout.textContent = hint;
  readout.hidden = false;
  for (const svg of figure.querySelectorAll("svg.chart")) {
    const lines = [...svg.querySelectorAll("polyline")].reverse().map((line) => ({
      name: line.dataset.name,
      rank: [...line.classList].find((name) => /^c\d$/.test(name)),
      generations: JSON.parse(line.dataset.generations),
      values: JSON.parse(line.dataset.values),
      points: line.getAttribute("points").trim().split(" ").map((pair) => pair.split(",").map(Number)),
    }));
    const longest = lines.reduce((a, b) => (last(b.generations) > last(a.generations) ? b : a));
    let place = longest.points.length - 1;

    const show = (x, generation) => {
      const found = lines.map((line) => ({
        line,
        index: nearest(generation === undefined ? line.points.map((point) => point[0]) : line.generations,
          generation === undefined ? x : generation),
      }));
      const main = found.find((item) => item.line === longest);
      place = main.index;
      const at = longest.points[place][0];
      const words = [`generation ${longest.generations[place].toLocaleString("en")}`];
      const cursor = svg.querySelector(".cursor");
      const { y: top, height } = svg.viewBox.baseVal;
      cursor.replaceChildren(element("path", { d: `M${at} ${top + 14}V${top + height - 46}` }));
      for (const { line, index } of found) {
        const [cx, cy] = line.points[index];
        cursor.append(element("circle", { cx, cy, r: 5, class: `dot ${line.rank}` }));
        words.push(`${line.name} ${line.values[index]}`);
      }
      cursor.removeAttribute("hidden");
      readout.textContent = words.join(", ");
      svg.setAttribute("aria-valuenow", longest.generations[place]);
      svg.setAttribute("aria-valuetext", readout.textContent);
    };
    const hide = () => {
      svg.querySelector(".cursor").setAttribute("hidden", "");
      readout.textContent = hint;
    };

    // With the keyboard it works as a slider does, and screen readers know how to speak of one.
    svg.setAttribute("tabindex", "0");
    svg.setAttribute("role", "slider");
    svg.setAttribute("aria-valuemin", longest.generations[0]);
    svg.setAttribute("aria-valuemax", last(longest.generations));
    svg.setAttribute("aria-valuenow", last(longest.generations));
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      show(((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width);
    });
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("focus", () => svg.matches(":focus-visible") && show(longest.points[place][0]));
    svg.addEventListener("blur", hide);
    svg.addEventListener("keydown", (event) => {
      const end = longest.points.length - 1;
      const places = {
        ArrowLeft: place - 1, ArrowDown: place - 1, ArrowRight: place + 1, ArrowUp: place + 1,
        PageDown: place - 20, PageUp: place + 20, Home: 0, End: end,
      };
      if (!(event.key in places)) return;
      event.preventDefault();
      show(longest.points[Math.min(end, Math.max(0, places[event.key]))][0]);
    });
    svg.addEventListener("generation", (event) => show(undefined, event.detail));
  }
}

const last = (items) => items[items.length - 1];

function nearest(sorted, value) {
  let best = 0;
  sorted.forEach((item, index) => {
    if (Math.abs(item - value) <= Math.abs(sorted[best] - value)) best = index;
  });
  return best;
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// Film

function setUpFilm(film) {
  if (!film.dataset.sheet) return;
  const sheet = new Image();
  sheet.onload = () => startFilm(film, sheet);
  sheet.src = film.dataset.sheet;
}

function startFilm(film, sheet) {
  const captions = JSON.parse(film.dataset.captions);
  const generations = JSON.parse(film.dataset.generations);
  const canvases = [...film.querySelectorAll("img.evolved")].map((image) => {
    const canvas = tile(image.width, image.height, image.alt);
    canvas.className = image.className;
    canvas.width = image.getAttribute("width");
    canvas.height = image.getAttribute("height");
    image.replaceWith(canvas);
    return canvas;
  });
  const player = film.querySelector(".player");
  const slider = player.querySelector("input");
  const button = player.querySelector("button");
  // Where several runs have films, one generation means nothing on the common curve.
  const charts = document.querySelectorAll(".film").length === 1 ? document.querySelectorAll("svg.chart") : [];
  let timer = null;

  const show = (frame) => {
    slider.value = frame;
    canvases.forEach((canvas, index) => {
      const { width, height } = canvas;
      canvas.getContext("2d").drawImage(sheet, index * width, frame * height, width, height, 0, 0, width, height);
    });
    player.querySelector(".caption").textContent = captions[frame];
    slider.setAttribute("aria-valuetext", captions[frame]);
  };
  const mark = (frame) =>
    charts.forEach((svg) => svg.dispatchEvent(new CustomEvent("generation", { detail: generations[frame] })));
  const pause = () => {
    clearInterval(timer);
    timer = null;
    button.textContent = "Play";
  };
  const step = () => {
    const frame = Number(slider.value) + 1;
    if (frame >= captions.length) return pause();
    show(frame);
    mark(frame);
  };
  button.addEventListener("click", () => {
    if (timer !== null) return pause();
    if (Number(slider.value) === captions.length - 1) show(0);
    button.textContent = "Pause";
    timer = setInterval(step, Math.min(500, (1000 * PLAY_SECONDS) / captions.length));
  });
  slider.addEventListener("input", () => {
    pause();
    show(Number(slider.value));
    mark(Number(slider.value));
  });
  show(captions.length - 1);
  player.hidden = false;
}

function tile(width, height, label) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  canvas.className = "pixels";
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  return canvas;
}

// Feature maps

function setUpMaps(section) {
  const layers = JSON.parse(section.querySelector("script").textContent);
  const ofLayer = section.querySelector("select.layer");
  const ofImage = section.querySelector("select.image");
  const tiles = section.querySelector(".tiles");
  const show = () => {
    const layer = layers[ofLayer.value];
    if (ofImage.options.length !== layer.images) {
      const before = Math.min(Math.max(0, ofImage.selectedIndex), layer.images - 1);
      ofImage.replaceChildren(...Array.from({ length: layer.images }, (_, i) => new Option(i + 1, i)));
      ofImage.selectedIndex = before;
    }
    const image = Number(ofImage.value);
    const sheet = new Image();
    sheet.onload = () => draw(layer, sheet, image, tiles);
    sheet.src = layer.sheet;
    const size = layer.height * layer.width === 1 ? `${count(layer.number, "unit")}` :
      `${count(layer.number, "map")} of ${layer.height}x${layer.width}`;
    section.querySelector(".about").textContent = `${size}; black is ${layer.low}, white ${layer.high}.`;
  };
  ofLayer.addEventListener("change", show);
  ofImage.addEventListener("change", show);
  section.querySelector(".choices").hidden = false;
  show();
}

const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

function draw(layer, sheet, image, tiles) {
  const { width, height, number } = layer;
  const side = number === 1 ? 224 : number <= 4 ? 140 : number <= 20 ? 84 : 48;
  const scale = width * height === 1 ? 20 : Math.max(1, Math.round(side / Math.max(width, height)));
  tiles.replaceChildren(...Array.from({ length: number }, (_, map) => {
    const canvas = tile(width, height, `map ${map + 1} of ${number}, image ${image + 1}`);
    canvas.style.width = `${width * scale}px`;
    canvas.style.height = `${height * scale}px`;
    canvas.getContext("2d").drawImage(sheet, map * width, image * height, width, height, 0, 0, width, height);
    return canvas;
  }));
}

// Command

function setUpCopy(command) {
  const button = command.querySelector("button");
  if (!navigator.clipboard) return;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(command.querySelector("code").textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(command.querySelector("code"));
    }
  });
}

// A run that goes on

function watch() {
  const seconds = document.querySelector("main").dataset.pollSeconds;
  if (seconds !== undefined) setTimeout(look, 1000 * Number(seconds));
}

async function look() {
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    const newer = new DOMParser().parseFromString(await answer.text(), "text/html");
    const main = document.adoptNode(newer.querySelector("main"));
    document.title = newer.title;
    document.querySelector("main").replaceWith(main);
    setUp(main);
    watch();
  } catch {
    const status = document.querySelector(".status");
    if (status) status.textContent = "The run has ended, or was stopped.";
  }
}

setUp(document);
watch();
