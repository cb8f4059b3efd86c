"use strict";
// The viewer of a registered pair. Volumes arrive as pictures of all axial slices and
// are decoded to bytes; the three planes are drawn from these on canvases. Positions
// are voxels (i, j, k) of the shown grid, whose axes run to R, A and S.
(() => {
  const data = JSON.parse(document.getElementById("viewer-data").textContent);
  const shape = data.shape;
  const AXES = { axial: [0, 1, 2], coronal: [0, 2, 1], sagittal: [1, 2, 0] };
  const CYAN = "#00e5e5", RED = [215, 40, 50], BLUE = [40, 100, 220];
  const FOLD = [1, 3, 5].map((at) => parseInt(data.colors.fold.slice(at, at + 2), 16));
  const GRID_LINES = 20;
  const element = (id) => document.getElementById(id);
  const state = {
    at: shape.map((n) => Math.floor(n / 2)),
    stage: data.stages.length - 1,
    mode: "flicker",
    isExchanged: false,
  };

  // --- volumes ---------------------------------------------------------------------
  const decoded = new Map();

  async function decode(sprite) {
    if (!sprite) return null;
    if (!decoded.has(sprite)) decoded.set(sprite, read(sprite));
    return decoded.get(sprite);
  }

  async function read(sprite) {
    const picture = new Image();
    picture.src = sprite.uri;
    await picture.decode();
    const canvas = document.createElement("canvas");
    canvas.width = picture.width;
    canvas.height = picture.height;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(picture, 0, 0);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
    const [ni, nj, nk] = sprite.shape;
    const channels = sprite.channels;
    const bytes = new Uint8Array(ni * nj * nk * channels);
    let to = 0;
    for (let k = 0; k < nk; k++) {
      const left = (k % sprite.columns) * ni;
      const top = Math.floor(k / sprite.columns) * nj;
      for (let j = 0; j < nj; j++) {
        let from = 4 * ((top + j) * canvas.width + left);
        for (let i = 0; i < ni; i++, from += 4)
          for (let c = 0; c < channels; c++) bytes[to++] = pixels[from + c];
      }
    }
    return { bytes, shape: sprite.shape, channels };
  }

  async function load(stage) {
    const [moved, labels, residual, jacobian] = await Promise.all(
      [stage.moved, stage.labels, stage.residual, stage.jacobian].map(decode));
    return { ...stage, moved, labels, residual, jacobian };
  }

  // Linear interpolation in a volume of the coarse grid, at a voxel of the shown grid.
  function coarse(volume, channel, voxel) {
    const { bytes, shape: size, channels } = volume;
    const low = [0, 0, 0], share = [0, 0, 0];
    for (let a = 0; a < 3; a++) {
      const middle = (size[a] - 1) / 2;
      const place = (voxel[a] - (shape[a] - 1) / 2) / data.coarse_voxels + middle;
      const inside = Math.min(Math.max(place, 0), size[a] - 1);
      low[a] = Math.min(Math.floor(inside), Math.max(size[a] - 2, 0));
      share[a] = inside - low[a];
    }
    let sum = 0;
    for (let corner = 0; corner < 8; corner++) {
      let weight = 1, index = 0, stride = 1;
      for (let a = 0; a < 3; a++) {
        const up = (corner >> a) & 1;
        weight *= up ? share[a] : 1 - share[a];
        index += Math.min(low[a] + up, size[a] - 1) * stride;
        stride *= size[a];
      }
      if (weight > 0) sum += weight * bytes[index * channels + channel];
    }
    return sum;
  }

  // Component of the position in the moving scan, in voxels before the registration.
  function mapped(stage, axis, voxel) {
    const [a, b, c, d] = stage.affine[axis];
    const linear = a * voxel[0] + b * voxel[1] + c * voxel[2] + d;
    if (!stage.residual) return linear;
    return linear + (coarse(stage.residual, axis, voxel) - 128) / 127 * stage.reach;
  }

  function logJacobian(stage, voxel) {
    return (coarse(stage.jacobian, 0, voxel) - 128) / 127 * data.largest_log_jacobian;
  }

  const toMm = (matrix, p) => matrix.map((row) =>
    row[0] * p[0] + row[1] * p[1] + row[2] * p[2] + row[3]);

  // --- planes ----------------------------------------------------------------------
  class Plane {
    constructor(name) {
      [this.right, this.up, this.normal] = AXES[name];
      this.box = element(name);
      this.canvas = this.box.querySelector("canvas");
      this.label = this.box.querySelector(".slice");
      this.name = name;
      this.width = shape[this.right];
      this.height = shape[this.up];
      this.box.style.flex = `${this.width} ${this.width} 0`;
      this.canvas.style.aspectRatio = `${this.width} / ${this.height}`;
      this.sheets = [0, 1, 2].map(() => {
        const sheet = document.createElement("canvas");
        sheet.width = this.width;
        sheet.height = this.height;
        return sheet;
      });
    }

    voxel(x, y) {  // of a pixel of the section: x to the right, y down
      const result = [...state.at];
      result[this.right] = x;
      result[this.up] = this.height - 1 - y;
      return result;
    }

    // Paints one color [r, g, b, a] per voxel onto a sheet.
    paint(sheet, color) {
      const context = sheet.getContext("2d");
      const picture = context.createImageData(this.width, this.height);
      for (let y = 0, to = 0; y < this.height; y++)
        for (let x = 0; x < this.width; x++, to += 4)
          picture.data.set(color(this.voxel(x, y)), to);
      context.putImageData(picture, 0, 0);
      return sheet;
    }

    gray(sheet, volume) {
      const context = sheet.getContext("2d");
      const picture = context.createImageData(this.width, this.height);
      const strides = [1, shape[0], shape[0] * shape[1]];
      const first = state.at[this.normal] * strides[this.normal];
      for (let y = 0, to = 0; y < this.height; y++) {
        let from = first + (this.height - 1 - y) * strides[this.up];
        for (let x = 0; x < this.width; x++, from += strides[this.right], to += 4) {
          const level = volume.bytes[from];
          picture.data[to] = picture.data[to + 1] = picture.data[to + 2] = level;
          picture.data[to + 3] = 255;
        }
      }
      context.putImageData(picture, 0, 0);
      return sheet;
    }

    draw(fixed, stage, folds, fixedLabels) {
      const ratio = window.devicePixelRatio || 1;
      const width = Math.max(1, Math.round(this.canvas.clientWidth * ratio));
      const height = Math.max(1, Math.round(this.canvas.clientHeight * ratio));
      if (this.canvas.width !== width || this.canvas.height !== height)
        Object.assign(this.canvas, { width, height });
      this.scale = [width / this.width, height / this.height];
      const context = this.context = this.canvas.getContext("2d");
      context.imageSmoothingQuality = "high";
      const pair = [this.gray(this.sheets[0], fixed), this.gray(this.sheets[1], stage.moved)];
      if (isMovedShown()) pair.reverse();
      context.drawImage(pair[0], 0, 0, width, height);
      if (state.mode !== "flicker") this.drawOther(pair[1], width, height);
      if (element("jacobian").checked) this.drawJacobian(stage, folds, width, height);
      if (element("grid").checked) this.drawGrid(stage);
      if (element("contours")?.checked) {
        this.drawOutlines(fixedLabels, data.colors.fixed);
        this.drawOutlines(stage.labels, data.colors.moved);
      }
      if (element("crosshair").checked) this.drawCrosshair(width, height);
      this.label.textContent = `${state.at[this.normal] + 1} / ${shape[this.normal]}`;
    }

    drawOther(sheet, width, height) {
      const context = this.context;
      context.save();
      context.beginPath();
      if (state.mode === "swipe") {
        const edge = element("swipe").value / 100 * width;
        context.rect(edge, 0, width - edge, height);
      } else {
        const side = element("squares").value * this.scale[0];
        for (let row = 0; row * side < height; row++)
          for (let column = (row + 1) % 2; column * side < width; column += 2)
            context.rect(column * side, row * side, side, side);
      }
      context.clip();
      context.drawImage(sheet, 0, 0, width, height);
      context.restore();
      if (state.mode === "swipe") {
        context.fillStyle = "#ffffffb0";
        context.fillRect(element("swipe").value / 100 * width - 1, 0, 2, height);
      }
    }

    drawJacobian(stage, folds, width, height) {
      const isLast = state.stage === data.stages.length - 1;
      const color = (voxel) => {
        const index = voxel[0] + shape[0] * (voxel[1] + shape[1] * voxel[2]);
        if (isLast && folds && folds.bytes[index] > 127) return [...FOLD, 255];
        const share = logJacobian(stage, voxel) / data.largest_log_jacobian;
        return [...(share > 0 ? RED : BLUE), 200 * Math.min(1, Math.abs(share))];
      };
      this.context.drawImage(this.paint(this.sheets[2], color), 0, 0, width, height);
    }

    // Lines at which a coordinate of the moving scan is a multiple of the step.
    drawGrid(stage) {
      const step = Math.max(...shape) / GRID_LINES;
      const path = new Path2D();
      for (const axis of [this.right, this.up]) {
        const values = new Float64Array(this.width * this.height);
        for (let y = 0, to = 0; y < this.height; y++)
          for (let x = 0; x < this.width; x++)
            values[to++] = mapped(stage, axis, this.voxel(x, y)) / step;
        for (let y = 0; y + 1 < this.height; y++)
          for (let x = 0; x + 1 < this.width; x++) {
            const at = y * this.width + x, below = at + this.width;
            const corners = [values[at], values[at + 1], values[below + 1], values[below]];
            this.addLines(path, corners, x, y);
          }
      }
      this.context.strokeStyle = CYAN;
      this.context.lineWidth = Math.max(1, window.devicePixelRatio);
      this.context.stroke(path);
    }

    // The lines of whole values through a cell of four voxels, by marching squares.
    addLines(path, corners, x, y) {
      const places = [[x, y], [x + 1, y], [x + 1, y + 1], [x, y + 1]];
      const last = Math.floor(Math.max(...corners));
      for (let level = Math.ceil(Math.min(...corners)); level <= last; level++) {
        const ends = [];
        for (let c = 0; c < 4; c++) {
          const one = corners[c], other = corners[(c + 1) % 4];
          if ((one < level) === (other < level)) continue;
          const share = (level - one) / (other - one), [p, q] = [places[c], places[(c + 1) % 4]];
          ends.push([p[0] + share * (q[0] - p[0]), p[1] + share * (q[1] - p[1])]);
        }
        for (let n = 0; n + 1 < ends.length; n += 2) {
          path.moveTo(...this.pixel(...ends[n]));
          path.lineTo(...this.pixel(...ends[n + 1]));
        }
      }
    }

    pixel(x, y) {  // of the canvas, of the center of a voxel
      return [(x + 0.5) * this.scale[0], (y + 0.5) * this.scale[1]];
    }

    // Outlines half way between voxels of different structures.
    drawOutlines(labels, color) {
      if (!labels) return;
      const path = new Path2D();
      const strides = [1, shape[0], shape[0] * shape[1]];
      const first = state.at[this.normal] * strides[this.normal];
      const label = (x, y) => labels.bytes[
        first + (this.height - 1 - y) * strides[this.up] + x * strides[this.right]];
      for (let y = 0; y + 1 < this.height; y++)
        for (let x = 0; x + 1 < this.width; x++) {
          const corners = [label(x, y), label(x + 1, y), label(x + 1, y + 1), label(x, y + 1)];
          if (corners.every((each) => each === corners[0])) continue;
          for (const structure of new Set(corners))
            if (structure !== 0)
              this.addLines(path, corners.map((each) => each === structure ? 0.5 : -0.5), x, y);
        }
      this.context.strokeStyle = color;
      this.context.lineWidth = 1.4 * (window.devicePixelRatio || 1);
      this.context.stroke(path);
    }

    drawCrosshair(width, height) {
      const [x, y] = this.pixel(state.at[this.right], this.height - 1 - state.at[this.up]);
      const gap = 8 * (window.devicePixelRatio || 1);
      const context = this.context;
      context.fillStyle = "#7dff8a";
      context.fillRect(0, y, x - gap, 1);
      context.fillRect(x + gap, y, width, 1);
      context.fillRect(x, 0, 1, y - gap);
      context.fillRect(x, y + gap, 1, height);
    }

    move(right, up, normal) {
      for (const [axis, by] of [[this.right, right], [this.up, up], [this.normal, normal]])
        state.at[axis] = Math.min(Math.max(state.at[axis] + by, 0), shape[axis] - 1);
      show();
    }

    point(event) {
      const box = this.canvas.getBoundingClientRect();
      const x = Math.floor((event.clientX - box.left) / box.width * this.width);
      const y = Math.floor((event.clientY - box.top) / box.height * this.height);
      const [right, up] = [x, this.height - 1 - y];
      this.move(right - state.at[this.right], up - state.at[this.up], 0);
    }
  }

  // --- state to picture ------------------------------------------------------------
  const isMovedShown = () => (state.mode === "flicker") !== state.isExchanged;
  let planes = [], isWaiting = false;

  // Draws once per frame of the screen, however often it is asked to.
  function show() {
    if (isWaiting) return;
    isWaiting = true;
    requestAnimationFrame(async () => {
      isWaiting = false;
      const stage = await load(data.stages[state.stage]);
      const [fixed, folds, labels] = await Promise.all(
        [data.fixed, data.folds, data.fixed_labels].map(decode));
      for (const plane of planes) plane.draw(fixed, stage, folds, labels);
      describe(stage);
      element("viewer").dataset.drawn = Number(element("viewer").dataset.drawn || 0) + 1;
    });
  }

  function describe(stage) {
    const moved = stage.name === "before" ? "moving, before" : `moving, after ${stage.name}`;
    const [first, second] = isMovedShown() ? [moved, "fixed"] : ["fixed", moved];
    element("shown").textContent = {
      flicker: `${first}`,
      swipe: `left: ${first}; right: ${second}`,
      checkerboard: `${first}, ${second}`,
    }[state.mode];
    const text = (mm) => mm.map((value) => value.toFixed(1)).join(", ");
    const change = 2 ** logJacobian(stage, state.at);
    const there = [0, 1, 2].map((axis) => mapped(stage, axis, state.at));
    const inMoving = toMm(data.to_moving_mm, toMm(data.voxel_to_mm, there));
    element("position").textContent =
      `fixed (${text(toMm(data.voxel_to_mm, state.at))}) mm, moving (${text(inMoving)}) mm, ` +
      `volume change ${change.toFixed(2)}`;
    element("stage").value = state.stage;
    element("stage").setAttribute("aria-valuetext", stage.name);
    for (const button of document.querySelectorAll("[data-stage]"))
      button.setAttribute("aria-pressed", Number(button.dataset.stage) === state.stage);
    element("swipe-label").hidden = state.mode !== "swipe";
    element("squares-label").hidden = state.mode !== "checkerboard";
    element("jacobian-scale").hidden = !element("jacobian").checked;
    for (const plane of planes)
      plane.canvas.setAttribute("aria-label", `${plane.name} plane, slice ` +
        `${state.at[plane.normal] + 1} of ${shape[plane.normal]}, ${element("shown").textContent}`);
  }

  // --- what a person does ----------------------------------------------------------
  function setStage(number) {
    state.stage = Math.min(Math.max(Number(number), 0), data.stages.length - 1);
    show();
  }

  function setMode(mode) {
    state.mode = mode;
    document.querySelector(`[name=mode][value=${mode}]`).checked = true;
    show();
  }

  function exchange() {
    state.isExchanged = !state.isExchanged;
    show();
  }

  function toggle(id) {
    const box = element(id);
    if (!box) return;
    box.checked = !box.checked;
    show();
  }

  function slide(by) {
    const slider = element(state.mode === "swipe" ? "swipe" : "squares");
    slider.value = Number(slider.value) + by * (state.mode === "swipe" ? 5 : 2);
    show();
  }

  const KEYS = {
    " ": exchange,
    ",": () => setStage(state.stage - 1),
    ".": () => setStage(state.stage + 1),
    "-": () => slide(-1),
    "+": () => slide(1),
    "=": () => slide(1),
    f: () => setMode("flicker"),
    s: () => setMode("swipe"),
    b: () => setMode("checkerboard"),
    j: () => toggle("jacobian"),
    g: () => toggle("grid"),
    c: () => toggle("contours"),
    x: () => toggle("crosshair"),
  };
  const MOVES = {
    ArrowLeft: [-1, 0, 0], ArrowRight: [1, 0, 0], ArrowUp: [0, 1, 0],
    ArrowDown: [0, -1, 0], PageUp: [0, 0, 1], PageDown: [0, 0, -1],
  };

  function listen() {
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const action = KEYS[event.key.toLowerCase()];
      const isControl = event.target.closest("button, input, summary, a, #volume");
      if (!action || (event.key === " " && isControl)) return;
      event.preventDefault();
      action();
    });
    for (const plane of planes) {
      const canvas = plane.canvas;
      canvas.addEventListener("keydown", (event) => {
        if (!MOVES[event.key]) return;
        event.preventDefault();
        plane.move(...MOVES[event.key]);
      });
      canvas.addEventListener("pointerdown", (event) => {
        canvas.setPointerCapture(event.pointerId);
        plane.point(event);
      });
      canvas.addEventListener("pointermove", (event) => {
        if (event.buttons) plane.point(event);
      });
      canvas.addEventListener("wheel", (event) => {
        event.preventDefault();
        plane.move(0, 0, event.deltaY > 0 ? -1 : 1);
      }, { passive: false });
    }
    element("viewer").addEventListener("input", (event) => {
      if (event.target.id === "stage") setStage(event.target.value);
      else if (event.target.name === "mode") setMode(event.target.value);
      else show();
    });
    for (const button of document.querySelectorAll("[data-stage]"))
      button.addEventListener("click", () => setStage(button.dataset.stage));
    element("exchange").addEventListener("click", exchange);
    // After the mouse, the keys belong to the planes again: space exchanges.
    element("viewer").addEventListener("pointerup", (event) => {
      if (event.target.closest(".controls") && event.pointerType === "mouse")
        setTimeout(() => planes[0].canvas.focus({ preventScroll: true }));
    });
    new ResizeObserver(show).observe(document.querySelector(".planes"));
  }

  element("viewer").hidden = false;
  planes = Object.keys(AXES).map((name) => new Plane(name));
  listen();
  show();
  // Others that show volumes, such as NiiVue, take them from here.
  window.voltween = { data, decode, state };
})();
