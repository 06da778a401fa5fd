"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const one = (query) => document.querySelector(query);
  const all = (query) => [...document.querySelectorAll(query)];
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

  // ---- The arithmetic: the same comparisons as eco/strategies/cascade.py, on the same numbers.
  const confidence = new Uint16Array(bytes(data.confidence).buffer);
  const correct = bytes(data.correct);
  const samples = confidence.length / data.pool.length;
  const isCorrect = (model, sample) =>
    (correct[model * Math.ceil(samples / 8) + (sample >> 3)] >> (7 - (sample & 7))) & 1;
  const last = data.pool.length - 1;
  const words = data.words;

  // The least multiple of 0.0001 that reaches a threshold, both as the doubles that Python has.
  function gate(threshold) {
    let k = Math.round(threshold * 10000);
    while (k / 10000 < threshold) k++;
    while (k > 0 && (k - 1) / 10000 >= threshold) k--;
    return k;
  }

  function score(chain, thresholds) {
    const gates = thresholds.map(gate);
    gates[gates.length - 1] = 0;
    const [answered, answeredCorrectly] = [chain.map(() => 0), chain.map(() => 0)];
    for (let sample = 0; sample < samples; sample++) {
      let at = 0;
      while (confidence[chain[at] * samples + sample] < gates[at]) at++;
      answered[at]++;
      answeredCorrectly[at] += isCorrect(chain[at], sample);
    }
    let reach = samples, joules = 0, nCorrect = 0;
    chain.forEach((model, at) => {
      joules += (reach / samples) * data.energy_j[model];
      reach -= answered[at];
      nCorrect += answeredCorrectly[at];
    });
    const share = joules / data.energy_j[last];
    return { answered, answeredCorrectly, accuracy: nCorrect / samples, joules, share };
  }

  const best = score([last], [0]).accuracy;

  // ---- The pictures.
  const { models: colours, points: kinds, curves, families, when } = data.style;
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const percent = (share) => `${(100 * share).toFixed(2)}%`;
  const modelColour = { field: "model", type: "nominal", sort: null, title: null, scale: { domain: data.pool, range: colours } };

  function config() {
    const [ink, soft, line] = ["--ink", "--soft", "--line"].map(style);
    return {
      background: null, font: "system-ui, sans-serif", view: { stroke: null },
      axis: { labelColor: soft, titleColor: soft, gridColor: line, domainColor: line, tickColor: line, titleFontWeight: "normal", labelFontSize: 11, titleFontSize: 12 },
      legend: { labelColor: ink, titleColor: soft, labelFontSize: 12, titleFontWeight: "normal", symbolSize: 90, symbolStrokeWidth: 2, labelLimit: 180, layout: { bottom: { anchor: "start", direction: "vertical", margin: 10 } } },
      title: { color: ink, fontSize: 13, anchor: "middle" },
      text: { color: ink }, rule: { color: ink },
    };
  }

  const wide = (width) => width > 560;
  const legend = (width, title = null) => ({ orient: "bottom", title, columns: Math.max(2, Math.floor(width / 145)) });
  // The two encodings that tell apart the values of a field, as eco/report/style.py has them.
  const coloursAndShapes = (field, kinds, domain, legend, title = null) => [0, 1].map((part) => ({ field, type: "nominal", sort: null, title, legend, scale: { domain, range: domain.map((name) => kinds[name][part]) } }));
  const those = (names, known) => names.filter((name) => known.includes(name));

  function pareto(width, live) {
    const present = [...new Set(data.points.map((row) => row.strategy))];
    const lines = those(Object.keys(curves).slice(0, live ? 2 : undefined), present);
    const marks = those(Object.keys(kinds), present);
    const text = (strategies, place) => ({ transform: [of(strategies)], mark: { type: "text", fontSize: 11, ...place }, encoding: { text: { field: "label" } } });
    const [shares, accuracies] = ["energy_share", "accuracy"].map((key) => data.points.map((row) => row[key]));
    const total = data.energy_j.reduce((sum, joules) => sum + joules) / data.energy_j[last];
    const of = (part) => ({ filter: { field: "strategy", oneOf: part } });
    const key = (title) => (live && !wide(width) && innerWidth < 640 ? null : legend(width, title)); // a phone shows it above
    const [pointColour, pointShape] = coloursAndShapes("strategy", kinds, marks, key("points"), "points");
    const [curveColour, curveDash] = coloursAndShapes("strategy", curves, lines, key("curves"), "curves");
    const layer = [
      { transform: [of(lines)], mark: { type: "line", strokeWidth: 1.8, opacity: 0.9 }, encoding: { color: curveColour, strokeDash: curveDash } },
      { transform: [of(marks)], mark: { type: "point", filled: true, size: 75, opacity: 0.95 }, encoding: { color: pointColour, shape: pointShape,
        tooltip: [{ field: "strategy" }, { field: "name" }, { field: "accuracy", format: ".2%" }, { field: "energy_share", format: ".2%", title: `${words.cost} share` }] } },
      text(["model"], { align: "left", dx: 7, dy: 9 }),
    ];
    if (!live && wide(width)) layer.push(text(["preset"], { align: "left", angle: 40, dx: 8, dy: 3 }), text(["tuned"], { align: "left", angle: -50, dx: 9, dy: 0 }), text(["oracle"], { align: "left", dx: 9, dy: 0 }));
    if (!live) {
      const bars = (from, to) => ({ transform: [of(marks)], mark: { type: "rule", opacity: 0.35, strokeWidth: 1 }, encoding: { [from]: { field: `${from === "x" ? "energy_share" : "accuracy"}_low` }, [to]: { field: `${from === "x" ? "energy_share" : "accuracy"}_high` } } });
      layer.splice(1, 0, bars("x", "x2"), bars("y", "y2"));
    } else {
      layer.push({ data: { name: "now" }, mark: { type: "point", size: 260, strokeWidth: 3.5, filled: false, color: style("--ink"), opacity: 1 }, encoding: {} });
    }
    return {
      height: wide(width) ? 420 : live && innerWidth < 640 ? 190 : 320, data: { values: data.points }, layer, resolve: { scale: { color: "independent", shape: "independent", strokeDash: "independent" } },
      encoding: {
        x: { field: "energy_share", type: "quantitative", title: `${words.cost} share, ${data.pool[last]} alone = 100%`, scale: { type: "log", nice: false, domain: [0.7 * Math.min(...shares), 1.5 * Math.max(live ? total : 1, ...shares)] }, axis: { format: "~%", tickCount: wide(width) ? 8 : 4, labelOverlap: "greedy" } },
        y: { field: "accuracy", type: "quantitative", title: "accuracy on test", scale: { zero: false, nice: true, domain: [Math.min(...accuracies) - 0.005, Math.min(1, Math.max(...accuracies) + 0.005)] }, axis: { format: ".0%", tickCount: 8 } },
      },
    };
  }

  // A height of its own for each line, as a number: `fit-x` can't take steps.
  const tall = (rows, key, step) => new Set(rows.map((row) => row[key])).size * step;

  function shares(width, rows) {
    return {
      height: tall(rows, "point", wide(width) ? 24 : 30), data: { values: rows },
      transform: [
        { stack: "share", groupby: ["point"], sort: [{ field: "place" }], as: ["from", "to"] },
        { calculate: "(datum.from + datum.to) / 2", as: "middle" },
        { calculate: `datum.share < ${wide(width) ? 0.06 : 0.14} ? '' : format(datum.share, '.0%') + (isValid(datum.accuracy) && ${wide(width)} ? ' (' + format(datum.accuracy, '.0%') + ')' : '')`, as: "shown" },
      ],
      encoding: { y: { field: "point", type: "nominal", sort: null, title: null, axis: { labelLimit: wide(width) ? 190 : 135, domain: false, ticks: false } } },
      layer: [
        { mark: { type: "bar", stroke: style("--paper"), strokeWidth: 1 }, encoding: {
          x: { field: "from", type: "quantitative", title: `share of the test ${words.samples}`, axis: { format: ".0%", tickCount: 5 }, scale: { domain: [0, 1] } }, x2: { field: "to" },
          color: { ...modelColour, legend: legend(width) },
          tooltip: [{ field: "point", title: "of" }, { field: "model" }, { field: "share", format: ".2%" }, { field: "accuracy", format: ".2%", title: "right" }] } },
        { mark: { type: "text", fontSize: 10.5 }, encoding: { x: { field: "middle", type: "quantitative" }, text: { field: "shown" },
          color: { condition: { test: { field: "model", oneOf: data.pool.filter((_, i) => colours[i] === "#0072B2") }, value: "#ffffff" }, value: "#000000" } } },
      ],
    };
  }

  function energy(width) {
    const names = [...new Set(data.energy.map((row) => row.name))];
    const others = names.filter((name) => !data.pool.includes(name));
    const domain = [...data.pool, ...others], strokes = { ...legend(width), symbolType: "stroke", symbolSize: 260 };
    const x = { field: "batch_size", type: "quantitative", title: `${words.samples} per call`, scale: { type: "log" }, axis: { values: [...new Set(data.energy.map((row) => row.batch_size))], format: ",d" } };
    const y = { scale: { type: "log" }, type: "quantitative" };
    const color = { field: "name", type: "nominal", title: null, scale: { domain, range: [...colours, ...others.map((_, i) => [style("--soft"), style("--ink")][i % 2])] }, legend: strokes };
    const dash = { field: "name", type: "nominal", title: null, legend: strokes, scale: { domain, range: [...data.pool.map(() => [1, 0]), ...others.map((_, i) => [[5, 3], [2, 3], [8, 2, 2, 2]][i % 3])] } };
    return {
      height: 340, data: { values: data.energy }, encoding: { x, color },
      layer: [
        { mark: { type: "line", strokeWidth: 2 }, encoding: { strokeDash: dash, y: { field: "energy_j", title: "J per prediction", axis: { format: "~s" }, ...y } } },
        { mark: { type: "point", filled: true, size: 50 }, encoding: { y: { field: "energy_j", ...y }, tooltip: [{ field: "name" }, { field: "batch_size", title: `${words.samples} per call` }, { field: "energy_j", format: ".3s", title: "J" }, { field: "energy_j_low", format: ".3s", title: "at least" }, { field: "energy_j_high", format: ".3s", title: "at most" }] } },
        { mark: { type: "rule", strokeWidth: 4, opacity: 0.6 }, encoding: { y: { field: "energy_j_low", ...y }, y2: { field: "energy_j_high" } } },
      ],
    };
  }

  function reliability(width) {
    const columns = Math.min(data.pool.length, width > 800 ? 4 : width > 500 ? 3 : 2);
    const size = Math.floor(width / columns - (wide(width) ? 78 : 72));
    const scale = { domain: [0, 1] }, axis = { format: ".0%", values: [0, 0.5, 1] };
    const x = { field: "confidence", type: "quantitative", scale, axis, title: "confidence" };
    const y = { field: "accuracy", type: "quantitative", scale, axis, title: "right" };
    const [color, shape] = coloursAndShapes("when", when, Object.keys(when), legend(width, "calibration"), "calibration");
    const tooltip = [{ field: "when" }, { field: "confidence", format: ".1%" }, { field: "accuracy", format: ".1%", title: "right" }, { field: "samples", format: ",d" }];
    return {
      columns, spacing: 16, concat: data.pool.map((model) => ({
        title: model, width: size, height: size, data: { values: data.reliability.filter((row) => row.model === model) },
        layer: [
          { data: { values: [{ x: 0 }, { x: 1 }] }, mark: { type: "line", strokeDash: [4, 4], color: style("--soft"), strokeWidth: 1 }, encoding: { x: { ...x, field: "x" }, y: { ...y, field: "x" } } },
          { mark: { type: "line", strokeWidth: 1.5 }, encoding: { x, y, color } },
          { mark: { type: "point", filled: true, opacity: 0.9 }, encoding: { x, y, color, shape, tooltip, size: { field: "samples", type: "quantitative", legend: null, scale: { range: [8, 130] } } } },
        ],
      })),
    };
  }

  function violations(width) {
    const present = [...new Set(data.violations.map((row) => row.strategy))];
    const measures = [...new Set(data.violations.map((row) => row.of))];
    const [color, shape] = coloursAndShapes("strategy", families, present, legend(width));
    const values = [...new Set(data.violations.map((row) => row.max_points))];
    const tooltip = [{ field: "strategy" }, { field: "max_points", title: "bound, points" }, { field: "violation_rate", format: ".1%", title: "wrong" }];
    const y = { field: "violation_rate", type: "quantitative", title: "certificates wrong", axis: { format: ".0%" } };
    const columns = wide(width) ? measures.length : 1;
    return {
      columns, spacing: 16, concat: measures.map((of) => {
        const x = { field: "max_points", type: "quantitative", title: `bound on the ${of}, points`, axis: { values, format: "~g", labelOverlap: "greedy" } };
        return {
          title: of, width: Math.max(180, (width - 180) / columns - 60), height: 260, data: { values: data.violations.filter((row) => row.of === of) },
          layer: [
            { mark: "line", encoding: { x, y, color } },
            { mark: { type: "point", filled: true, size: 70, opacity: 1 }, encoding: { x, y, color, shape, tooltip } },
            { mark: { type: "rule", strokeDash: [4, 4] }, encoding: { y: { field: "delta", type: "quantitative", aggregate: "max" } } },
          ],
        };
      }),
    };
  }

  const paid = (width) => ({
    height: tall(data.paid, "name", 26), data: { values: data.paid },
    encoding: { y: { field: "name", type: "nominal", sort: "x", title: null, axis: { labelLimit: wide(width) ? 220 : 130, domain: false, ticks: false } }, x: { field: "predictions", type: "quantitative", title: "predictions until training is paid for", scale: { type: "log", nice: true }, axis: { format: "~s", labelOverlap: "greedy" } } },
    layer: [{ mark: { type: "point", filled: true, size: 90, color: "#009E73" }, encoding: { tooltip: [{ field: "name" }, { field: "predictions", format: ",d" }] } }],
  });

  const pictures = { pareto: (width) => pareto(width, false), live: (width) => pareto(width, true), energy, reliability, violations, paid,
    shares: (width) => shares(width, data.shares), classes: (width) => shares(width, data.classes) };
  const views = {};

  async function picture(place) {
    const name = place.dataset.picture, width = place.clientWidth;
    if (!(data[name] || data.points).length) {
      Object.assign(place, { textContent: "There is nothing to draw in this run." }).style.minHeight = 0;
      return;
    }
    const spec = pictures[name](width);
    spec.description = place.parentElement.querySelector("figcaption").textContent;
    if (!spec.concat) Object.assign(spec, { width, autosize: { type: "fit-x", contains: "padding" } });
    if (views[name]) views[name].finalize();
    const embedded = await vegaEmbed(place, spec, { mode: "vega-lite", actions: false, renderer: "svg", config: config() });
    views[name] = embedded.view;
    if (name === "live") await follow();
  }

  async function drawAll() {
    for (const place of all("[data-picture]")) {
      await picture(place);
      await new Promise((painted) => setTimeout(painted)); // so that each is seen before the next
    }
    document.documentElement.dataset.drawn = "all";
  }

  // ---- The explorer.
  const state = { chain: [last], thresholds: data.pool.map(() => 0.9) };
  const used = () => state.chain.map((model, at) => (at === state.chain.length - 1 ? 0 : state.thresholds[model]));
  let now, announcing;

  const follow = () => (views.live ? views.live.data("now", [{ energy_share: now.share, accuracy: now.accuracy }]).runAsync() : null);

  function explore() {
    now = score(state.chain, used());
    one("#now-accuracy").textContent = percent(now.accuracy);
    one("#now-lost").textContent = (100 * (best - now.accuracy)).toFixed(2);
    one("#now-share").textContent = percent(now.share);
    one("#now-joules").textContent = (words.scale * now.joules).toPrecision(4);
    data.pool.forEach((_, model) => {
      const at = state.chain.indexOf(model), off = at < 0 || at === state.chain.length - 1;
      one(`[data-takes-part="${model}"]`).checked = at >= 0;
      one(`[data-takes-part="${model}"]`).disabled = at >= 0 && state.chain.length === 1;
      for (const kind of ["slider", "number"]) {
        const dial = one(`[data-${kind}="${model}"]`);
        dial.disabled = off;
        dial.setAttribute("aria-valuetext", off ? "none" : state.thresholds[model]);
        if (dial !== document.activeElement || kind === "slider") dial.value = at < 0 && kind === "number" ? "" : off ? 0 : state.thresholds[model];
      }
      const n = at < 0 ? 0 : now.answered[at];
      one(`[data-bar="${model}"]`).style.width = `${(100 * n) / samples}%`;
      one(`[data-share="${model}"]`).textContent = n ? `${percent(n / samples)}, ${percent(now.answeredCorrectly[at] / n)} right` : "none";
    });
    all("[data-setting]").forEach((button) => {
      const { chain, thresholds } = data.settings[button.dataset.setting];
      button.setAttribute("aria-pressed", `${chain}|${thresholds}` === `${state.chain}|${used()}`);
    });
    tunedPoint();
    const number = (threshold) => (Number.isInteger(threshold) ? threshold.toFixed(1) : String(threshold));
    if (one("#command")) one("#command").value = `dvc exp run -S 'cascading.active_models=[${state.chain.map((model) => data.pool[model])}]' -S 'cascading.thresholds=[${used().map(number)}]'`;
    clearTimeout(announcing);
    announcing = setTimeout(() => { one("#announcement").textContent = `accuracy ${percent(now.accuracy)}, ${words.cost} share ${percent(now.share)}`; }, 600);
    return follow();
  }

  // What the tuning samples say of the present setting, where it is a tuned one.
  function tunedPoint() {
    const row = data.frontier.find((one) => `${one.chain}|${one.thresholds}` === `${state.chain}|${used()}`);
    one("#target-tuned").textContent = row
      ? `On the tuning ${words.samples} this setting loses ${(100 * (data.reference_accuracy - row.accuracy)).toFixed(2)} points at ${percent(row.energy_share)} of the ${words.cost}.`
      : "The present setting is none of the tuned ones.";
    return row;
  }

  function take(setting) {
    state.chain = [...setting.chain];
    setting.chain.slice(0, -1).forEach((model, at) => { state.thresholds[model] = setting.thresholds[at]; });
    return explore();
  }

  function aim() {
    const loss = Number(one("#target").value);
    one("#target-value").textContent = loss.toFixed(2);
    return take(data.frontier.find((row) => row.accuracy >= data.reference_accuracy - loss / 100 - 1e-12));
  }

  function dial(model, text) {
    const threshold = Number(text);
    if (text === "" || !(threshold >= 0 && threshold <= 1)) return;
    state.thresholds[model] = threshold;
    explore();
  }

  function setTakesPart(model, takesPart) {
    // A place in the order of the pool, whatever the order of the others.
    const before = state.chain.filter((other) => other < model).length;
    if (takesPart) state.chain.splice(before, 0, model);
    else state.chain = state.chain.filter((other) => other !== model);
    explore();
  }

  function press(setting) {
    take(setting);
    const row = tunedPoint();
    if (!row) return;
    one("#target").value = Math.ceil(2000 * (data.reference_accuracy - row.accuracy) - 1e-9) / 20;
    one("#target-value").textContent = Number(one("#target").value).toFixed(2);
  }

  function prepare() {
    const losses = data.frontier.map((row) => 100 * (data.reference_accuracy - row.accuracy));
    const least = Math.ceil(20 * Math.min(...losses) - 1e-9) / 20;
    Object.assign(one("#target"), { min: least, max: Math.max(least + 0.05, Math.ceil(Math.max(...losses))), step: 0.05 });
    one("#target").value = least;
    one("#target-value").textContent = Number(one("#target").value).toFixed(2);
    const bars = one("#answering");
    data.pool.forEach((name, model) => {
      const [label, bar, box, text] = ["span", "b", "span", "span"].map((tag) => document.createElement(tag));
      label.textContent = name;
      bar.dataset.bar = model;
      bar.style.cssText = `background:${colours[model]};display:block`;
      text.dataset.share = model;
      box.append(bar);
      bars.append(label, box, text);
    });
    all("[data-colour]").forEach((dot) => { dot.style.background = colours[dot.dataset.colour]; });
    all("[data-setting]").forEach((button) => button.addEventListener("click", () => press(data.settings[button.dataset.setting])));
    all("[data-slider]").forEach((slider) => slider.addEventListener("input", () => dial(slider.dataset.slider, slider.value)));
    all("[data-number]").forEach((box) => box.addEventListener("input", () => dial(box.dataset.number, box.value)));
    all("[data-number]").forEach((box) => box.addEventListener("blur", () => explore()));
    all("[data-takes-part]").forEach((box) => box.addEventListener("change", () => setTakesPart(Number(box.dataset.takesPart), box.checked)));
    one("#target").addEventListener("input", aim);
    one(".controls").addEventListener("submit", (event) => event.preventDefault());
    if (one("#copy")) one("#copy").addEventListener("click", copy);
    press(data.settings.find((setting) => setting.name.startsWith("tuned")) || data.settings[0] || { chain: [last], thresholds: [0] });
  }

  async function copy() {
    one("#command").select();
    try { await navigator.clipboard.writeText(one("#command").value); } catch { document.execCommand("copy"); }
    one("#copy").textContent = "Copied";
    setTimeout(() => { one("#copy").textContent = "Copy"; }, 1500);
  }

  // ---- Light and dark.
  function theme(name) {
    document.documentElement.dataset.theme = name;
    one("#theme").textContent = name === "dark" ? "Light" : "Dark";
  }
  const dark = matchMedia("(prefers-color-scheme: dark)"), preferred = () => theme(dark.matches ? "dark" : "light");
  preferred();
  dark.addEventListener("change", () => { preferred(); drawAll(); });
  one("#theme").addEventListener("click", () => { theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"); drawAll(); });

  let width = innerWidth, waiting;
  addEventListener("resize", () => {
    if (innerWidth === width) return; // a phone's address bar comes and goes
    width = innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(drawAll, 150);
  });
  prepare();
  drawAll();
})();
