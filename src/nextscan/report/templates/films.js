// Films of a heart side by side, in step; a slider over frames and one over slices.
(() => {
  "use strict";
  const root = document.getElementById("films-player");
  const find = (name) => root.querySelector(`[data-${name}]`);
  const head = JSON.parse(find("head").textContent);
  const [subjects, methods, speed, play] = ["subject", "method", "speed", "play"].map(find);
  const [frame, slice, reel, plot] = ["frame", "slice", "reel", "plot"].map(find);
  const screens = [...root.querySelectorAll("[data-film]")];
  const number = (value) => {
    const size = Math.abs(value);
    const text = size >= 100 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
    return text.replace("-", "−");
  };

  // Sheets: a column of tiles per frame, a row per slice; opened when they are first looked at.
  const kept = new Map();
  const sheet = async (which, k) => {
    if (k === null || k === undefined) return null;
    const key = `${which}-${k}`;
    if (!kept.has(key)) {
      const image = new Image();
      image.src = `data:image/png;base64,${root.querySelector(`[data-sheet="${key}"]`).textContent.trim()}`;
      kept.set(key, image.decode().then(() => image));
    }
    return kept.get(key);
  };
  // Grey values of a tile, to take differences.
  const scratch = document.createElement("canvas");
  const values = (image, column, row) => {
    const [w, h] = told.tile;
    [scratch.width, scratch.height] = [w, h];
    const context = scratch.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, column * w, row * h, w, h, 0, 0, w, h);
    return context.getImageData(0, 0, w, h);
  };

  let told = head.subjects[0];
  let opened = null;
  let hiddenAt = [];
  const open = async () => {
    const which = Number(subjects.value);
    const now = head.subjects[which];
    const name = methods.value;
    const of = now.methods[name] || { mean: null, draw: null, sd: null, curve: null };
    const [real, truth, mean, draw, sd] = await Promise.all(
      [now.films.real, now.films.truth, of.mean, of.draw, of.sd].map((k) => sheet(which, k)));
    if (which !== Number(subjects.value) || name !== methods.value) return; // others were chosen meanwhile
    told = now;
    opened = { real, truth: truth || real, mean, draw: draw || mean, sd, curve: of.curve };
    let count = 0;
    hiddenAt = told.given.map((given) => (given ? -1 : count++));
    const [w, h] = told.extent;
    for (const film of screens) {
      const canvas = film.querySelector("canvas");
      canvas.width = 420;
      canvas.height = Math.max(1, Math.round(420 * h / w));
    }
    frame.max = told.frames.length - 1;
    slice.max = told.slices - 1;
    find("ticks").replaceChildren(...told.given.map((given) => Object.assign(document.createElement("span"), { className: given ? "given" : "" })));
    find("through").hidden = told.slices < 2;
    const [low, high] = told.window;
    const end = told.difference * (high - low) / 255;
    find("low").textContent = number(low);
    find("high").textContent = number(high);
    find("sd").textContent = number(told.sd);
    find("less").textContent = number(-end);
    find("more").textContent = `+${number(end)}`;
    const coarse = told.coarser > 1 ? ` Averaged over ${told.coarser} voxels a side to keep the page small.` : "";
    const clean = truth ? " Differences are from the film without noise, as only simulated hearts have it." : "";
    find("note").textContent = `${told.title}. Filled dots are frames that were given, open ones were hidden and imputed; at these `
      + `“Given” shows the nearest frame given, dimmed, which is all that was known.${clean}${coarse}`;
    curve();
    show();
  };

  const put = (key, image, column, said, faint) => {
    const film = screens.find((one) => one.dataset.film === key);
    const canvas = film.querySelector("canvas");
    const context = canvas.getContext("2d");
    const [w, h] = told.tile;
    context.imageSmoothingQuality = "high";
    context.fillRect(0, 0, canvas.width, canvas.height);
    if (image) context.drawImage(image, column * w, image.height === h ? 0 : Number(slice.value) * h, w, h, 0, 0, canvas.width, canvas.height);
    film.toggleAttribute("data-hidden", Boolean(faint));
    film.querySelector("[data-said]").textContent = said;
  };
  const differing = (mean, column, truth, k) => {
    const row = Number(slice.value);
    const [ours, theirs] = [values(mean, column, row), values(truth, k, row)];
    for (let i = 0; i < ours.data.length; i += 4) {
      const share = (ours.data[i] - theirs.data[i]) / told.difference;
      const colour = head.diverging[Math.max(0, Math.min(255, Math.round(127.5 + 127.5 * share)))];
      [ours.data[i], ours.data[i + 1], ours.data[i + 2]] = colour;
    }
    scratch.getContext("2d").putImageData(ours, 0, 0);
    return scratch;
  };
  const show = () => {
    if (!opened) return;
    const k = Number(frame.value);
    const at = hiddenAt[k];
    const given = told.given[k];
    const none = "not imputed by this method";
    put("given", opened.real, given ? k : told.nearest[k], given ? "" : "hidden: nearest frame given", !given);
    put("real", opened.real, k, "");
    const lacking = opened.mean ? "" : none;
    put("mean", given ? opened.real : opened.mean, given ? k : at, given ? "given" : lacking, given);
    put("draw", given ? opened.real : opened.draw, given ? k : at, given ? "given" : lacking, given);
    put("sd", given ? null : opened.sd, at, given ? "given: none" : lacking || (opened.sd ? "" : "none: draws do not differ"));
    put("difference", given || !opened.mean ? null : differing(opened.mean, at, opened.truth, k), 0, given ? "given: none" : lacking);
    const time = told.times[k];
    const when = time === null ? "" : `, ${told.circle ? Math.round(time) : number(time)} ${told.unit}`;
    find("time").textContent = `${k + 1} of ${told.frames.length}${when}, ${given ? "given" : "hidden"}`;
    frame.setAttribute("aria-valuetext", find("time").textContent);
    find("depth").textContent = `${Number(slice.value) + 1} of ${told.slices}`;
    slice.setAttribute("aria-valuetext", find("depth").textContent);
    const now = plot.querySelector(".now");
    if (now) now.setAttribute("d", time === null ? "" : `M${across(time)} ${top}V${bottom}`);
  };

  // The volume of the cavity below, with a line at the frame that is shown.
  const [left, top, right, bottom] = [46, 10, 712, 150];
  const end = () => (told.circle ? 100 : told.times[told.times.length - 1] || 1);
  const across = (time) => left + time / end() * (right - left);
  const make = (tag, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const curve = () => {
    const { curve: lines } = opened;
    find("curve").hidden = !lines || told.times.some((value) => value === null);
    plot.replaceChildren();
    if (find("curve").hidden) return;
    const known = Object.values(lines).flat().filter((value) => value !== null);
    const most = Math.max(...known) * 1.08;
    const y = (value) => bottom - value / most * (bottom - top);
    const step = [10, 20, 50, 100, 200, 500].find((size) => most / size <= 5) || 1000;
    for (let value = 0; value <= most; value += step) {
      plot.append(make("path", { class: "grid", d: `M${left} ${y(value)}H${right}` }));
      plot.append(make("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, String(value)));
    }
    for (const part of [0, 0.25, 0.5, 0.75, 1]) {
      const time = part * end();
      plot.append(make("text", { x: across(time), y: bottom + 16, "text-anchor": part === 1 ? "end" : "middle" }, number(time)));
    }
    plot.append(make("text", { x: (left + right) / 2, y: bottom + 33, "text-anchor": "middle" }, told.unit));
    plot.append(make("text", { x: -(top + bottom) / 2, y: 12, transform: "rotate(-90)", "text-anchor": "middle" }, "cavity, mL"));
    const points = (series) => series.flatMap((value, k) => (value === null ? [] : [`${across(told.times[k])},${y(value).toFixed(1)}`]));
    plot.append(make("path", { class: "band", d: `M${[...points(lines.low), ...points(lines.high).reverse()].join("L")}Z` }));
    if (points(lines.truth).length > 2) plot.append(make("path", { class: "truth", d: `M${points(lines.truth).join("L")}` }));
    plot.append(make("path", { class: "mean", d: `M${points(lines.mean).join("L")}` }));
    told.given.forEach((given, k) => {
      const value = given ? lines.mean[k] : lines.truth[k];
      if (value !== null) plot.append(make("circle", { class: given ? "shown" : "hidden", cx: across(told.times[k]), cy: y(value), r: 3.6 }));
    });
    plot.append(make("path", { class: "now", d: "" }));
    plot.setAttribute("aria-label", `Volume of the cavity of ${told.title} over time, as imputed and as it is.`);
    find("curve-note").textContent = "Volume of the cavity: imputed (blue, with 80 % of the draws), given (filled) and true (open, dashed).";
  };

  // Playing: as long on each frame as until the next one in the beat; never while nobody can see it.
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  let wanted = false;
  let seen = false;
  let running = 0;
  let due = 0;
  const tick = (now) => {
    const length = () => Math.max(25, 1000 * Number(speed.value) * told.shares[Number(frame.value)]);
    if (!due || now - due > 2000) due = now + length(); // at first, and after a pause of the browser
    let moved = false;
    while (now >= due) {
      frame.value = (Number(frame.value) + 1) % told.frames.length;
      due += length();
      moved = true;
    }
    if (moved) show();
    running = requestAnimationFrame(tick);
  };
  const turn = () => {
    const on = wanted && seen;
    if (on && !running) {
      due = 0;
      running = requestAnimationFrame(tick);
    } else if (!on && running) {
      cancelAnimationFrame(running);
      running = 0;
    }
    play.textContent = wanted ? "Pause" : "Play";
    play.setAttribute("aria-pressed", String(wanted));
  };
  const want = (on) => { wanted = on; turn(); };
  play.addEventListener("click", () => want(!wanted));
  frame.addEventListener("input", () => { want(false); show(); });
  slice.addEventListener("input", show);
  subjects.addEventListener("change", () => { slice.value = head.subjects[Number(subjects.value)].slice; open(); });
  methods.addEventListener("change", open);
  reel.addEventListener("keydown", (event) => {
    const step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (event.key === " ") want(!wanted);
    else if (step) {
      if (step[0]) want(false);
      frame.value = (Number(frame.value) + step[0] + told.frames.length) % told.frames.length;
      slice.value = Number(slice.value) + step[1];
      show();
    } else return;
    event.preventDefault();
  });
  window.addEventListener("beforeprint", () => want(false));
  still.addEventListener("change", () => { if (still.matches) want(false); });
  new IntersectionObserver((entries) => { seen = entries[entries.length - 1].isIntersecting; turn(); }).observe(reel);

  subjects.append(...head.subjects.map((one, i) => new Option(one.title, i)));
  find("subjects").hidden = head.subjects.length === 1;
  methods.append(...head.methods.map((one) => new Option(one.title, one.name)));
  frame.max = told.frames.length - 1;
  slice.max = told.slices - 1;
  [frame.value, slice.value] = [0, told.slice];
  for (const name of ["controls", "reel", "sliders", "legend", "note"]) find(name).hidden = false;
  find("status").hidden = true;
  open().then(() => { root.dataset.ready = "yes"; want(!still.matches); });
})();
