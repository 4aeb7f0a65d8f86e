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

  // Images of a subject: packed ones as they are, sums of source and change when first asked for.
  let subject = null;
  const load = async (position) => {
    const told = head.subjects[position];
    const n = told.times.length;
    const changes = n + (told.real === null ? 0 : 1);
    const images = [];
    for (let k = 0; k < 1 + changes + (told.sd ? n : 0); k += 1) {
      const base64 = root.querySelector(`[data-image="${position}-${k}"]`).textContent;
      images.push(await NVImage.loadFromBase64({ base64, name: `${k}.nii.gz` }));
    }
    const { low, high, change, sd } = told.limits;
    const dress = (image, map, from, to) => {
      image.colormap = map;
      image.cal_min = from;
      image.cal_max = to;
      image.opacity = 1;
      return image;
    };
    const source = dress(images[0], "gray", low, high);
    const sums = new Map();
    const added = (k) => {
      if (!sums.has(k)) {
        const sum = dress(source.clone(), "gray", low, high);
        const other = images[1 + k];
        const [a, b] = [source.hdr, other.hdr];
        for (let i = 0; i < sum.img.length; i += 1) {
          const change = other.img[i] * b.scl_slope + b.scl_inter;
          sum.img[i] = Math.max(0, Math.min(255, Math.round(source.img[i] + change / a.scl_slope)));
        }
        sums.set(k, sum);
      }
      return sums.get(k);
    };
    images.slice(1, 1 + changes).forEach((image) => dress(image, "nextscan-change", -change * 1.001, change));
    images.slice(1 + changes).forEach((image) => dress(image, "nextscan-sd", 0, sd || 1));
    return {
      told, source, added,
      change: (k) => images[1 + k],
      spread: (k) => (told.sd ? images[1 + changes + k] : null),
    };
  };

  const layers = (what) => {
    const at = Number(slider.value);
    const { told } = subject;
    if (what === "real" && told.real !== null) return [subject.added(told.real)];
    if (what === "imputed") return [subject.added(at)];
    if (what === "sd" && told.sd) return [subject.source, subject.spread(at)];
    if (what === "real-change" && told.real !== null) return [subject.source, subject.change(told.real)];
    if (what === "imputed-change") return [subject.source, subject.change(at)];
    return [subject.source];
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
    const change = value(subject.change(at));
    const spread = told.sd ? ` ± ${number(value(subject.spread(at)))}` : "";
    const parts = [`source ${number(base)}`, `imputed at ${told.times[at]} ${number(base + change)}${spread} (${signed(change)})`];
    if (told.real !== null) {
      const real = value(subject.change(told.real));
      parts.push(`${told.realTitle} at ${told.realTime} ${number(base + real)} (${signed(real)})`);
    }
    const place = ["x", "y", "z"].map((axis, i) => `${axis} ${number(Math.round(mm[i]))}`).join(", ");
    find("readout").textContent = `At ${place} mm: ${parts.join(" · ")}`;
  };

  const show = () => {
    rows.forEach((row, i) => {
      const view = views[i];
      const what = row.querySelector("input:checked").value;
      view.volumes = layers(what);
      view.back = view.volumes[0];
      view.overlays = view.volumes.slice(1);
      view.updateGLVolume();
      row.querySelector("canvas").setAttribute("aria-label",
        `Axial, coronal and sagittal plane: ${row.querySelector("input:checked + span").textContent}`);
    });
    find("time").textContent = subject.told.times[Number(slider.value)];
    const first = views[0];
    read(first.frac2mm(first.scene.crosshairPos));
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
      view.volumes = [subject.source];
      view.back = subject.source;
      view.overlays = [];
      view.updateGLVolume();
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
      for (const [name, map] of Object.entries(head.maps)) view.addColormap(name, { ...map, min: 0, max: 0 });
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
