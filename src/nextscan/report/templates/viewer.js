// Two rows of linked planes through one head, and a slider over predicted time.
(async () => {
  "use strict";
  const root = document.getElementById("viewer");
  const find = (name) => root.querySelector(`[data-${name}]`);
  const head = JSON.parse(find("head").textContent);
  const status = find("status");
  const slider = find("years");
  const rows = [...root.querySelectorAll("[data-row]")];
  const probe = document.createElement("canvas").getContext("webgl2");
  if (!probe || typeof niivue === "undefined") return;
  probe.getExtension("WEBGL_lose_context")?.loseContext();

  const { Niivue, NVImage } = niivue;
  const number = (value) => {
    if (value === 0) return "0";
    const size = Math.abs(value);
    const text = size >= 100 ? Math.round(value).toLocaleString("en")
      : Number(value.toPrecision(3)).toLocaleString("en", { maximumSignificantDigits: 3 });
    return text.replace("-", "−");
  };

  // Images of a subject: packed ones as they are, others made from them when first asked for.
  let subject = null;
  const load = async (position) => {
    const told = head.subjects[position];
    const { low, high, change, sd } = told.limits;
    const opened = async (k) => {
      if (k === null) return null;
      const base64 = root.querySelector(`[data-image="${position}-${k}"]`).textContent;
      return NVImage.loadFromBase64({ base64, name: `${k}.nii.gz` });
    };
    const grey = (image) => Object.assign(image, { colormap: "gray", cal_min: low, cal_max: high, opacity: 1 });
    const source = grey(await opened(told.images.source));
    const real = await opened(told.images.real);
    if (real) grey(real);
    const realChange = await opened(told.images.realChange);
    const changes = await Promise.all(told.images.changes.map(opened));
    const sds = await Promise.all(told.images.sds.map(opened));
    const scale = (image) => (code) => code * image.hdr.scl_slope + image.hdr.scl_inter;
    const added = (other) => {
      const sum = grey(source.clone());
      const value = scale(other);
      const slope = source.hdr.scl_slope;
      for (let i = 0; i < sum.img.length; i += 1) {
        sum.img[i] = Math.max(0, Math.min(255, Math.round(source.img[i] + value(other.img[i]) / slope)));
      }
      return sum;
    };
    // Colour over the grey source, mixed by opacity; both kinds of scale start at `from`.
    const laid = (other, map, from, to) => {
      const mixed = source.clone();
      const under = scale(source);
      const over = scale(other);
      const img = new Uint8Array(4 * source.img.length);
      for (let i = 0; i < source.img.length; i += 1) {
        const shade = Math.max(0, Math.min(255, 255 * (under(source.img[i]) - low) / (high - low)));
        const step = Math.max(0, Math.min(255, Math.round(255 * (over(other.img[i]) - from) / (to - from))));
        const [r, g, b, opacity] = map[step];
        img[4 * i] = shade + (r - shade) * opacity;
        img[4 * i + 1] = shade + (g - shade) * opacity;
        img[4 * i + 2] = shade + (b - shade) * opacity;
        img[4 * i + 3] = 255;
      }
      Object.assign(mixed.hdr, { datatypeCode: 2304, numBitsPerVoxel: 32, scl_slope: 1, scl_inter: 0 });
      return Object.assign(mixed, { img, cal_min: 0, cal_max: 255, opacity: 1 });
    };
    const kept = new Map();
    const once = (key, make) => {
      if (!kept.has(key)) kept.set(key, make());
      return kept.get(key);
    };
    return {
      told, source, real, realChange, changes, sds,
      imputed: (at) => once(`mean ${at}`, () => added(changes[at])),
      spread: (at) => once(`sd ${at}`, () => laid(sds[at], head.maps.sd, 0, sd || 1)),
      change: (at) => once(`change ${at}`, () => laid(changes[at], head.maps.change, -change, change)),
      trueChange: () => once("true", () => laid(realChange, head.maps.change, -change, change)),
    };
  };

  const shown = (what) => {
    const at = Number(slider.value);
    if (what === "real" && subject.real) return subject.real;
    if (what === "imputed") return subject.imputed(at);
    if (what === "sd" && subject.sds[at]) return subject.spread(at);
    if (what === "real-change" && subject.realChange) return subject.trueChange();
    if (what === "imputed-change") return subject.change(at);
    return subject.source;
  };

  const views = [];
  let quiet = false;
  const follow = (from) => {
    if (quiet) return;
    quiet = true;
    const mm = from.frac2mm(from.scene.crosshairPos);
    for (const view of views) {
      if (view === from) continue;
      view.scene.crosshairPos = view.mm2frac(mm);
      view.scene.pan2Dxyzmm = from.scene.pan2Dxyzmm.slice();
      view.drawScene();
    }
    quiet = false;
    read(mm);
  };
  const read = (mm) => {
    const { told } = subject;
    const at = Number(slider.value);
    const vox = subject.source.mm2vox([mm[0], mm[1], mm[2]]);
    const value = (image) => image.getValue(vox[0], vox[1], vox[2]);
    const base = value(subject.source);
    const signed = (x) => (x > 0 ? "+" : "") + number(x);
    const changed = (image) => (Math.abs(value(image)) < image.hdr.scl_slope / 2 ? 0 : value(image));
    const change = changed(subject.changes[at]);
    const spread = subject.sds[at] ? ` ± ${number(value(subject.sds[at]))}` : "";
    const parts = [`source ${number(base)}`, `imputed at ${told.times[at]} ${number(base + change)}${spread} (${signed(change)})`];
    if (subject.real) {
      const real = subject.realChange ? ` (true change ${signed(changed(subject.realChange))})` : "";
      parts.push(`real follow-up at ${told.realTime} ${number(value(subject.real))}${real}`);
    }
    const place = ["x", "y", "z"].map((axis, i) => `${axis} ${number(Math.round(mm[i]))}`).join(", ");
    find("readout").textContent = `At ${place} mm: ${parts.join(" · ")}`;
  };

  const put = (view, image) => {
    view.volumes = [image];
    view.back = image;
    view.overlays = [];
    view.updateGLVolume();
  };
  const show = () => {
    const at = Number(slider.value);
    rows.forEach((row, i) => {
      const chosen = row.querySelector("input:checked");
      put(views[i], shown(chosen.value));
      row.querySelector(".stage").dataset.lacking = chosen.value === "sd" && !subject.sds[at]
        ? `No uncertainty was kept at ${subject.told.times[at]}; this is the source` : "";
      row.querySelector("canvas").setAttribute("aria-label",
        `Axial, coronal and sagittal plane: ${chosen.nextElementSibling.textContent}`);
    });
    find("time").textContent = subject.told.times[at];
    read(views[0].frac2mm(views[0].scene.crosshairPos));
  };

  const enter = async (position) => {
    subject = await load(position);
    const { told } = subject;
    const n = told.times.length;
    slider.max = n - 1;
    slider.value = told.start;
    slider.disabled = n === 1;
    find("play").hidden = n === 1;
    find("ticks").replaceChildren(...told.times.map((time) => {
      const tick = document.createElement("span");
      tick.textContent = time.split(" ")[0] === "next" ? "" : time.split(" ")[0];
      return tick;
    }));
    const { low, high, change, sd } = told.limits;
    find("low").textContent = number(low);
    find("high").textContent = number(high);
    find("less").textContent = number(-change);
    find("more").textContent = `+${number(change)}`;
    if (find("sd")) find("sd").textContent = number(sd);
    const [x, y, z] = told.extent;
    rows.forEach((row) => {
      row.querySelector(".stage").style.aspectRatio = String((2 * x + y) / (1.02 * Math.max(y, z)));
    });
    const coarse = told.coarser > 1 ? `, averaged over ${told.coarser} voxels a side to keep the page small` : "";
    find("note").textContent = `${told.title}, imputed by ${head.method}. Click or drag in any plane, or scroll through it: the `
      + `other planes and the other row follow. Left of the head is on the left; voxels of ${told.voxel}${coarse}. `
      + "In colour: change or uncertainty on the source image; the scales hold for all times.";
    views.forEach((view) => {
      view.opts.crosshairWidth = 0.004 * Math.max(x, y, z);
      put(view, subject.source);
      view.scene.crosshairPos = view.mm2frac(told.point);
    });
    show();
  };

  rows.forEach((row) => { row.hidden = false; });
  try {
    for (const row of rows) {
      const view = new Niivue({
        backColor: [0, 0, 0, 1], crosshairColor: [1, 1, 1, 0.5], crosshairWidth: 0.7, crosshairWidthUnit: "mm", isColorbar: false,
        multiplanarLayout: 3, multiplanarShowRender: 0, multiplanarEqualSize: 0, tileMargin: 0, multiplanarPadPixels: 4,
        isOrientationTextVisible: true, isCornerOrientationText: false, fontMinPx: 12, fontColor: [0.75, 0.75, 0.75, 1],
        dragAndDropEnabled: false, loadingText: "", logLevel: "silent", scrollRequiresFocus: true,
        clipPlaneHotKey: "", cycleClipPlaneHotKey: "", viewModeHotKey: "", dragMode: 3, sagittalNoseLeft: false,
      });
      await view.attachToCanvas(row.querySelector("canvas"), true);
      view.setSliceType(view.sliceTypeMultiplanar);
      view.onLocationChange = () => follow(view);
      views.push(view);
    }
    await enter(0);
  } catch (error) {
    rows.forEach((row) => { row.hidden = true; });
    return;
  }
  status.hidden = true;
  for (const name of ["controls", "legend", "readout", "note"]) find(name).hidden = false;

  const choice = find("subject");
  choice.append(...head.subjects.map((told, i) => new Option(told.title, i)));
  find("subjects").hidden = head.subjects.length === 1;
  choice.addEventListener("change", () => enter(Number(choice.value)));
  slider.addEventListener("input", show);
  rows.forEach((row) => row.addEventListener("change", show));

  let playing = 0;
  const play = find("play");
  const stop = () => {
    clearInterval(playing);
    playing = 0;
    play.textContent = "Play";
    play.setAttribute("aria-pressed", "false");
  };
  play.addEventListener("click", () => {
    if (playing) { stop(); return; }
    play.textContent = "Pause";
    play.setAttribute("aria-pressed", "true");
    playing = setInterval(() => {
      slider.value = (Number(slider.value) + 1) % (Number(slider.max) + 1);
      show();
    }, 800);
  });
  slider.addEventListener("pointerdown", stop);
  window.addEventListener("beforeprint", stop);
  root.dataset.ready = "yes";
})();
