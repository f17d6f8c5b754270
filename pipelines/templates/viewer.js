"use strict";
// The viewer of a report: stacks of HU side by side with one position, zoom and window. See viewer.html.j2 for the page.
(() => {
  const PLANES = { axial: [1, 2, 0], coronal: [0, 2, 1], sagittal: [0, 1, 2] }; // axes down, across, and into the screen
  const HIGH = [214, 40, 30], LOW = [30, 90, 214]; // red: too high, blue: too low
  const LINES = ["#1b2530", "#c2410c", "#0b6e99", "#0b7a4b", "#8a2c8f", "#8a6d00", "#5a6874", "#b3261e"];

  async function unpack(text, count, columns) {
    const packed = Uint8Array.from(atob(text.trim()), (letter) => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
    const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
    const values = new Int16Array(count); // wraps around, as the differences of packing.py did
    for (let k = 0; k < count; k++) values[k] = (k % columns ? values[k - 1] : 0) + (bytes[k] | (bytes[count + k] << 8));
    return values;
  }

  async function start(root) {
    const find = (name) => root.querySelector(`[data-part="${name}"]`);
    const scene = JSON.parse(find("scene").textContent);
    const size = scene.shape, mm = scene.voxel_mm || [1, 1, 1], lengths = size.map((n, axis) => n * mm[axis]);
    const strides = [size[1] * size[2], size[2], 1];
    const blocks = [...root.querySelectorAll('[data-part="values"]')];
    const layers = await Promise.all(scene.layers.map(async (about, k) =>
      ({ ...about, values: await unpack(blocks[k].textContent, size[0] * size[1] * size[2], size[2]) })));
    blocks.forEach((block) => block.remove());
    const truth = layers.find((layer) => layer.role === "truth");
    const images = layers.filter((layer) => layer.role !== "map");
    const state = { at: [scene.first, size[1] >> 1, size[2] >> 1], centre: null, zoom: 1, mode: "side by side", plane: "axial",
      a: images.indexOf(truth || images[0]), b: images.length - 1, split: 0.5, flip: false, line: null };
    [state.level, state.width] = Object.values(scene.windows)[0];
    let panels = [], waiting = 0, timer = 0;

    const hu = (layer, at) => {
      const value = layer.values[at[0] * strides[0] + at[1] * strides[1] + at[2]];
      return value === scene.nothing ? null : value;
    };
    const words = (value, sign) => value === null ? "nothing" :
      `${sign && value > 0 ? "+" : ""}${value} HU`.replace("-", "\u2212");
    const name = () => scene.slices[state.at[0]];
    const wanted = () => images.filter((_, k) => find("layers").querySelectorAll("input")[k].checked);
    const redraw = () => { waiting = waiting || requestAnimationFrame(() => { waiting = 0; draw(); }); };
    const set = (changes) => { Object.assign(state, changes); redraw(); };
    const within = (at) => at.map((value, axis) => Math.min(size[axis] - 1, Math.max(0, Math.round(value))));
    const moveTo = (axis, value) => set({ at: within(state.at.map((old, k) => k === axis ? value : old)) });

    // ---- what lies over an image: its difference to the truth, or a map of it
    function overlayOf(layer) {
      const kind = find("overlay").value;
      if (kind === "difference" && truth && layer !== truth) {
        return { full: layer.full_hu, at: (k) => layer.values[k] - truth.values[k] };
      }
      const map = layers.find((one) => one.role === "map" && one.label === kind && one.of === layer.label);
      return map && { full: map.full_hu, at: (k) => map.values[k] };
    }

    function bitmap(layer, plane) {
      const [down, across, depth] = PLANES[plane], low = state.level - state.width / 2, slope = 255 / state.width;
      const image = new ImageData(size[across], size[down]), out = image.data, over = overlayOf(layer);
      let k = 0;
      for (let y = 0; y < size[down]; y++) {
        let place = state.at[depth] * strides[depth] + y * strides[down];
        for (let x = 0; x < size[across]; x++, place += strides[across], k += 4) {
          const grey = layer.values[place] === scene.nothing ? 0 : (layer.values[place] - low) * slope;
          out[k] = out[k + 1] = out[k + 2] = grey; // clamped by the array
          if (over) {
            const value = over.at(place), share = Math.min(1, Math.abs(value) / over.full);
            for (let c = 0; c < 3; c++) out[k + c] += share * ((value > 0 ? HIGH : LOW)[c] - out[k + c]);
          }
          out[k + 3] = 255;
        }
      }
      const canvas = Object.assign(document.createElement("canvas"), { width: size[across], height: size[down] });
      canvas.getContext("2d").putImageData(image, 0, 0);
      return canvas;
    }

    // ---- from voxels to the screen and back
    const upside = (plane) => PLANES[plane][0] === 0 && scene.last_is_up ? -1 : 1;
    function fit(panel) {
      const [down, across] = PLANES[panel.plane], { clientWidth: w, clientHeight: h } = panel.canvas;
      const scale = state.zoom * Math.min(w / lengths[across], h / lengths[down]);
      const centre = state.centre || size.map((n) => n / 2);
      return { w, h, sx: scale * mm[across], sy: scale * mm[down] * upside(panel.plane), cx: centre[across], cy: centre[down] };
    }
    const toScreen = (panel, at, { w, h, sx, sy, cx, cy } = fit(panel)) =>
      [w / 2 + (at[PLANES[panel.plane][1]] - cx) * sx, h / 2 + (at[PLANES[panel.plane][0]] - cy) * sy];
    function toVoxel(panel, event) {
      const box = panel.canvas.getBoundingClientRect(), { w, h, sx, sy, cx, cy } = fit(panel), at = [...state.at];
      const [down, across] = PLANES[panel.plane];
      at[across] = Math.floor((event.clientX - box.left - w / 2) / sx + cx);
      at[down] = Math.floor((event.clientY - box.top - h / 2) / sy + cy);
      return within(at);
    }

    function drawPanel(panel) {
      const { canvas, plane } = panel, ratio = window.devicePixelRatio || 1, place = fit(panel), { w, h, sx, sy } = place;
      [canvas.width, canvas.height] = [Math.round(w * ratio), Math.round(h * ratio)];
      const pen = canvas.getContext("2d"), [left, top] = toScreen(panel, [0, 0, 0], place);
      const paint = (layer) => {
        pen.setTransform(sx * ratio, 0, 0, sy * ratio, left * ratio, top * ratio);
        pen.imageSmoothingEnabled = Math.abs(sx) < 3;
        pen.drawImage(bitmap(layer, plane), 0, 0);
        pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      };
      const [a, b] = [images[state.a], images[state.b]];
      const layer = panel.layer || (state.mode === "blink" && state.flip ? b : a);
      paint(layer);
      if (state.mode === "slider") {
        const middle = w * state.split;
        pen.save();
        pen.beginPath();
        pen.rect(middle, 0, w, h);
        pen.clip();
        pen.fillRect(middle, 0, w, h);
        paint(b);
        pen.restore();
        pen.fillStyle = "#ffd24a";
        pen.fillRect(middle - 1, 0, 2, h);
      }
      const worst = plane === "axial" && find("marks").checked && layer.worst[state.at[0]];
      if (worst) {
        const [x, y] = toScreen(panel, [0, worst[0], worst[1]], place);
        Object.assign(pen, { strokeStyle: "#ff5a4f", lineWidth: 2 });
        pen.strokeRect(x, y, worst[2] * sx, worst[2] * sy);
      }
      const [x, y] = toScreen(panel, state.at.map((value) => value + 0.5), place);
      pen.fillStyle = "#7fe3c0aa";
      for (const box of [[x, 0, 1, y - 6], [x, y + 6, 1, h], [0, y, x - 6, 1], [x + 6, y, w, 1]]) pen.fillRect(...box);
      if (state.line && state.line.plane === plane) {
        pen.strokeStyle = "#ffd24a";
        pen.beginPath();
        for (const end of state.line.ends) pen.lineTo(...toScreen(panel, end.map((value) => value + 0.5), place));
        pen.stroke();
      }
      const value = hu(layer, state.at), over = overlayOf(layer);
      const both = state.mode === "slider" ? `${a.label} | ${b.label}` : layer.label;
      panel.title.textContent = both + (panels.some((one) => one.plane !== plane) ? `, ${plane}` : "");
      panel.value.textContent = (state.mode === "slider" ? `${words(value)} | ${words(hu(b, state.at))}` : words(value)) +
        (over ? ` (${words(over.at(state.at[0] * strides[0] + state.at[1] * strides[1] + state.at[2]), true)} of ±${over.full})` : "");
      canvas.setAttribute("aria-label", `${panel.title.textContent}, ${name()}, ${panel.value.textContent} at the crosshair`);
    }

    function drawProfile() {
      const plot = find("profile");
      if ((plot.hidden = !state.line)) return;
      const [from, to] = state.line.ends, n = 200, canvas = plot.querySelector("canvas"), pen = canvas.getContext("2d");
      const ratio = window.devicePixelRatio || 1, w = canvas.clientWidth, h = canvas.clientHeight;
      const curves = wanted().map((layer) => ({ layer, values: Array.from({ length: n + 1 },
        (_, k) => hu(layer, from.map((value, axis) => Math.round(value + (to[axis] - value) * k / n)))) }));
      const all = curves.flatMap((curve) => curve.values).filter((value) => value !== null);
      const low = Math.min(...all), high = Math.max(...all, low + 1);
      [canvas.width, canvas.height] = [Math.round(w * ratio), Math.round(h * ratio)];
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      plot.querySelector("figcaption").replaceChildren(...curves.map(({ layer }) => {
        const key = Object.assign(document.createElement("b"), { textContent: ` ${layer.label} ` });
        key.style.color = LINES[images.indexOf(layer) % LINES.length];
        return key;
      }), ` ${words(low)} to ${words(high)}` + (scene.voxel_mm ? ` over ${Math.hypot(...from.map((value, axis) =>
        (to[axis] - value) * mm[axis])).toFixed(1)} mm` : ""));
      for (const { layer, values } of curves) {
        Object.assign(pen, { strokeStyle: LINES[images.indexOf(layer) % LINES.length], lineWidth: 1.5 });
        pen.beginPath();
        values.forEach((value, k) => value !== null && pen.lineTo(k / n * w, h - 4 - (value - low) / (high - low) * (h - 8)));
        pen.stroke();
      }
    }

    function draw() {
      panels.forEach(drawPanel);
      drawProfile();
      const error = (layer) => layer.rmse_hu[state.at[0]];
      Object.assign(find("slice"), { value: state.at[0], ariaValueText: name() });
      find("name").textContent = `${name()} (${state.at[0] + 1} of ${size[0]})` + images.filter((layer) => error(layer)
        != null).map((layer) => ` · ${layer.label} ${error(layer).toFixed(1)} HU RMSE`).join("");
      for (const part of ["level", "width"]) find(part).value = Math.round(state[part]);
      const preset = Object.entries(scene.windows).find(([, [level, width]]) => level === state.level && width === state.width);
      find("window").value = preset ? preset[0] : "";
    }

    // ---- panels, made anew when it changes which there are
    function build() {
      const one = state.mode !== "side by side", planes = state.plane === "all" ? Object.keys(PLANES) : [state.plane];
      const shown = one ? [null] : wanted();
      panels = shown.flatMap((layer) => planes.map((plane) => {
        const [figure, caption, title, value, canvas] = ["figure", "figcaption", "span", "span", "canvas"].map((tag) =>
          document.createElement(tag));
        canvas.setAttribute("role", "img");
        canvas.style.aspectRatio = Math.min(3, Math.max(0.75, lengths[PLANES[plane][1]] / lengths[PLANES[plane][0]]));
        caption.append(title, value);
        figure.append(caption, canvas);
        return { layer, plane, figure, canvas, title, value };
      }));
      panels.forEach(listen);
      find("panels").replaceChildren(...panels.map((panel) => panel.figure));
      find("panels").className = one ? "one" : planes.length > 1 ? "planes" : "";
      for (const part of root.querySelectorAll("[data-for]")) part.hidden = !part.dataset.for.split("|").includes(state.mode);
      clearInterval(timer);
      const still = matchMedia("(prefers-reduced-motion: reduce)").matches; // then the space bar alone swaps
      if (state.mode === "blink" && !still) timer = setInterval(swap, 700);
      redraw();
    }
    const swap = () => set({ flip: !state.flip });

    function listen(panel) {
      const fingers = new Map();
      let before = null;
      const spread = () => { const [p, q] = [...fingers.values()]; return Math.hypot(p.clientX - q.clientX, p.clientY - q.clientY); };
      const dragging = (event) => event.shiftKey ? "line" : event.buttons & 2 ? "window" : find("drag").value;
      const line = (from, to) => ({ plane: panel.plane, ends: [from, to] });
      panel.canvas.addEventListener("pointerdown", (event) => {
        panel.canvas.setPointerCapture(event.pointerId);
        fingers.set(event.pointerId, before = event);
        const at = toVoxel(panel, event);
        set(dragging(event) === "line" ? { at, line: line(at, at) } : { at });
      });
      panel.canvas.addEventListener("pointermove", (event) => {
        const held = fingers.has(event.pointerId), [down, across] = PLANES[panel.plane], { sx, sy } = fit(panel);
        if (fingers.size === 2 && held) {
          const last = spread();
          fingers.set(event.pointerId, event);
          zoom(spread() / last);
        } else if (!held) {
          if (event.pointerType === "mouse" && state.mode === "side by side") state.at = toVoxel(panel, event);
        } else if (dragging(event) === "line") {
          state.line = line(state.line ? state.line.ends[0] : state.at, toVoxel(panel, event));
        } else if (dragging(event) === "window") {
          state.width = Math.max(1, state.width + 2 * (event.clientX - before.clientX));
          state.level -= event.clientY - before.clientY;
        } else {
          state.centre = state.centre || size.map((n) => n / 2);
          state.centre[across] -= (event.clientX - before.clientX) / sx;
          state.centre[down] -= (event.clientY - before.clientY) / sy;
        }
        before = event;
        redraw();
      });
      for (const end of ["pointerup", "pointercancel"]) panel.canvas.addEventListener(end, (event) => fingers.delete(event.pointerId));
      panel.canvas.addEventListener("contextmenu", (event) => event.preventDefault());
      panel.canvas.addEventListener("wheel", (event) => {
        if (!event.ctrlKey && !root.contains(document.activeElement)) return; // the page scrolls until the viewer is used
        event.preventDefault();
        const depth = PLANES[panel.plane][2];
        event.ctrlKey ? zoom(Math.exp(-event.deltaY / 200)) : moveTo(depth, state.at[depth] + Math.sign(event.deltaY));
      }, { passive: false });
    }
    const zoom = (factor) => set({ zoom: Math.min(40, Math.max(0.5, state.zoom * factor)) });
    const toWindow = ([level, width]) => set({ level, width });
    const reset = () => set({ zoom: 1, centre: null, line: null });
    const setMode = (mode) => { state.mode = find("mode").value = mode; build(); };

    // ---- controls
    const on = (part, act) => find(part).addEventListener("input", (event) => act(event.target.value));
    for (const side of ["a", "b"]) on(side, (value) => set({ [side]: Number(value) }));
    [find("a").value, find("b").value] = [state.a, state.b];
    on("slice", (value) => moveTo(0, Number(value)));
    on("window", (value) => value && toWindow(scene.windows[value]));
    on("level", (value) => set({ level: Number(value) }));
    on("width", (value) => set({ width: Math.max(1, Number(value)) }));
    on("split", (value) => set({ split: Number(value) / 100 }));
    on("mode", setMode);
    on("plane", (value) => { state.plane = value; build(); });
    on("layers", build);
    for (const part of ["overlay", "marks"]) on(part, redraw);
    on("goto", (value) => {
      const [what, index] = value.split(" "), { rmse_hu: errors, worst } = images[index];
      const known = errors.map((_, k) => k).filter((k) => errors[k] != null).sort((k, l) => errors[k] - errors[l]);
      moveTo(0, known[what === "best" ? 0 : known.length - 1]);
      reset();
      if (what !== "region" || !worst[state.at[0]]) return;
      const [row, column, side] = worst[state.at[0]], centre = [state.at[0], row + side / 2, column + side / 2];
      set({ centre, at: centre.map(Math.floor), zoom: Math.min(size[1], size[2]) / side / 1.5 });
    });
    find("reset").addEventListener("click", reset);
    const toggle = (mode) => () => images.length > 1 && setMode(state.mode === mode ? "side by side" : mode);
    const step = (axis, by) => () => moveTo(axis, state.at[axis] + by);
    const difference = () => { // on and off; nothing where there is none
      find("overlay").selectedIndex = find("overlay").selectedIndex ? 0 : Math.min(1, find("overlay").length - 1);
      redraw();
    };
    const keys = { "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), 0: reset, " ": swap, d: difference,
      b: toggle("blink"), s: toggle("slider"), PageDown: step(0, 1), PageUp: step(0, -1), ArrowUp: step(1, -1),
      ArrowDown: step(1, 1), ArrowLeft: step(2, -1), ArrowRight: step(2, 1) };
    Object.values(scene.windows).forEach((window, k) => { keys[k + 1] = () => toWindow(window); });
    find("stage").addEventListener("keydown", (event) => {
      if (event.target.matches("select, input") || event.ctrlKey || event.metaKey || !keys[event.key]) return;
      event.preventDefault();
      keys[event.key]();
    });
    new ResizeObserver(redraw).observe(find("panels"));
    find("more").open = innerWidth > 600;
    root.hidden = false;
    build();
  }
  for (const root of document.querySelectorAll(".viewer")) {
    start(root).catch((error) => { // a browser from before 2023
      root.hidden = false;
      root.textContent = `The viewer does not work in this browser (${error.message}); the pictures below need none.`;
    });
  }
})();
