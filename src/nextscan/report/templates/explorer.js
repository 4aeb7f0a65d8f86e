// Predicted against real change of one feature, for two methods side by side.
(() => {
  "use strict";
  const root = document.getElementById("explorer");
  const head = JSON.parse(root.querySelector("[data-head]").textContent);
  const bytes = Uint8Array.from(atob(root.querySelector("[data-codes]").textContent.trim()), (c) => c.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const [n, nSeries] = [head.subjects, head.methods.length + 1];
  const name = root.querySelector("[data-feature-name]");
  const choices = [...root.querySelectorAll("[data-panel]")];
  const plots = [...root.querySelectorAll("[data-plot]")];
  const told = root.querySelector("[data-told]");
  const positions = new Map(head.features.map((feature, i) => [feature, i]));
  let current = head.start;

  const values = (feature, series) => {
    const [low, high] = [head.low[feature], head.high[feature]];
    return Array.from({ length: n }, (_, i) => {
      const code = view.getInt16(2 * ((feature * nSeries + series) * n + i), true);
      return code === -32768 ? NaN : low + (code + 32767) / 65534 * (high - low);
    });
  };
  const number = (value) => value === null || value === undefined || !Number.isFinite(value) ? "–"
    : (value === 0 || (Math.abs(value) >= 1e-4 && Math.abs(value) < 1e7)
      ? value.toLocaleString("en", { minimumSignificantDigits: 3, maximumSignificantDigits: Math.max(3, Math.ceil(Math.log10(Math.abs(value) + 1))) })
      : value.toExponential(2)).replace("-", "−");
  const ticks = (low, high) => {
    const rough = (high - low) / 4;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].find((k) => k * power >= rough) * power;
    const found = [];
    for (let k = Math.ceil(low / step); k * step <= high + 1e-9 * step; k += 1) found.push(k * step);
    const places = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    return found.map((at) => [at, at.toFixed(Math.min(places, 8)).replace("-", "−").replace(/^−(0\.?0*)$/, "$1")]);
  };
  const make = (tag, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const shapes = {
    o: "M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0", s: "M-2.7-2.7h5.4v5.4h-5.4z", D: "M0-3.7 3.7 0 0 3.7-3.7 0z",
    "^": "M0-3.6 3.4 2.6h-6.8z", v: "M0 3.6 3.4-2.6h-6.8z", "<": "M-3.6 0 2.6-3.4v6.8z",
    P: "M-1.1-3.3h2.2v2.2h2.2v2.2h-2.2v2.2h-2.2v-2.2h-2.2v-2.2h2.2z",
    X: "M-2-3.4 0-1.4 2-3.4 3.4-2 1.4 0 3.4 2 2 3.4 0 1.4-2 3.4-3.4 2-1.4 0-3.4-2z",
    h: "M0-3.6 3.1-1.8v3.6L0 3.6-3.1 1.8v-3.6z",
    "*": "M0-4.2 1.1-1.3 4.1-1.2 1.7.6 2.5 3.5 0 1.8-2.5 3.5-1.7.6-4.1-1.2-1.1-1.3z",
  };

  const draw = (plot, panel) => {
    const method = head.methods[choices[panel].value];
    const real = values(current, 0);
    const predicted = values(current, Number(choices[panel].value) + 1);
    const room = 0.05 * (head.high[current] - head.low[current]) || 1;
    const low = Math.min(0, head.low[current]) - room;
    const high = Math.max(0, head.high[current]) + room;
    const [left, top, side] = [64, 30, 326];
    const x = (value) => left + (value - low) / (high - low) * side;
    const y = (value) => top + side - (value - low) / (high - low) * side;
    plot.replaceChildren();
    plot.append(make("text", { x: left, y: 16, class: "head" }, method.title));
    for (const [at, text] of ticks(low, high)) {
      plot.append(make("path", { class: "grid", d: `M${x(at)} ${top}v${side}M${left} ${y(at)}h${side}` }));
      plot.append(make("text", { x: x(at), y: top + side + 16, "text-anchor": "middle" }, text));
      plot.append(make("text", { x: left - 7, y: y(at) + 4, "text-anchor": "end" }, text));
    }
    plot.append(make("path", { class: "axes", d: `M${left} ${top}v${side}h${side}` }));
    plot.append(make("path", { class: "equal", d: `M${x(low)} ${y(low)}L${x(high)} ${y(high)}` }));
    plot.append(make("text", { x: left + side / 2, y: top + side + 36, "text-anchor": "middle" }, "real change"));
    plot.append(make("text", { transform: `translate(13 ${top + side / 2}) rotate(-90)`, "text-anchor": "middle" }, "predicted change"));
    const shape = shapes[method.marker] || shapes.o;
    const points = make("g", { fill: method.colour, "fill-opacity": 0.5 });
    let drawn = 0;
    real.forEach((value, i) => {
      if (!Number.isFinite(value) || !Number.isFinite(predicted[i])) return;
      drawn += 1;
      points.append(make("path", { d: shape, transform: `translate(${x(value).toFixed(1)} ${y(predicted[i]).toFixed(1)})` }));
    });
    plot.append(points);
    const scores = head.scores.map((score) => `${score.title} ${number(score.values[choices[panel].value][current])}`).join(", ");
    plot.setAttribute("aria-label", `${method.title}: predicted against real change of ${head.features[current]}, ${drawn} subjects. ${scores}`);
    return `${method.title}: ${scores || `${drawn} subjects`}.`;
  };
  const show = (feature) => {
    current = (feature + head.features.length) % head.features.length;
    name.value = head.features[current];
    told.textContent = plots.map(draw).join(" ");
  };

  const list = document.getElementById("explorer-features");
  list.append(...head.features.map((feature) => new Option(feature, feature)));
  choices.forEach((choice, panel) => {
    choice.append(...head.methods.map((method, i) => new Option(method.title, i)));
    choice.value = head.shown[panel];
    choice.addEventListener("change", () => show(current));
  });
  name.addEventListener("focus", () => name.select());
  name.addEventListener("change", () => {
    const part = name.value.trim().toLowerCase();
    const found = positions.get(name.value) ?? head.features.findIndex((feature) => feature.toLowerCase().includes(part));
    show(found < 0 ? current : found);
  });
  root.querySelectorAll("[data-step]").forEach((button) => {
    button.addEventListener("click", () => show(current + Number(button.dataset.step)));
  });
  document.querySelectorAll("a[data-feature]").forEach((link) => {
    link.addEventListener("click", () => show(Number(link.dataset.feature)));
  });
  show(current);
})();
