"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const COLUMNS = 600, PAGE = data.page_bytes || 4096, TOTAL = data.elapsed_ns;
  const COLOURS = ["--k0", "--k1", "--k2", "--k3", "--k4"];
  // What is looked at: a process (-1: all), kinds of fault, a span of time, and what a width means.
  const state = { process: -1, kinds: data.kinds.map(() => true), from: 0, to: TOTAL, weight: "ns", frame: null, sort: {} };

  // Words for numbers.
  const count = (n) => Math.round(n).toLocaleString("en-US");
  const trim = (n) => (n >= 100 ? n.toFixed(0) : n >= 10 ? n.toFixed(1) : n.toFixed(2));
  const time = (ns) => ns < 1e3 ? `${Math.round(ns)} ns` : ns < 1e6 ? `${trim(ns / 1e3)} us` : ns < 1e9 ? `${trim(ns / 1e6)} ms` : `${trim(ns / 1e9)} s`;
  const size = (bytes) => {
    const units = ["B", "K", "M", "G", "T"];
    let step = 0;
    while (bytes >= 1024 && step < 4) { bytes /= 1024; step += 1; }
    return `${step === 0 ? bytes : trim(bytes)}${units[step]}`;
  };
  const pages = (n) => size(n * PAGE);
  const percent = (part, whole) => (whole ? `${trim((part * 100) / whole)} %` : "0 %");
  const short = (path) => path.split("/").pop() || path;
  const sum = (values) => values.reduce((a, b) => a + b, 0);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const element = (tag, text, className) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  };

  // What is chosen.
  const process = () => (state.process < 0 ? null : data.processes[state.process]);
  const series = () => (process() ? process().series : data.all);
  const chosen = (values) => sum(values.filter((_, kind) => state.kinds[kind]));
  const mine = (row) => !process() || row.pid === process().pid;
  const tally = () => {
    const of = process() ? [process().tally] : data.processes.map((one) => one.tally);
    const add = (key) => data.kinds.map((_, kind) => sum(of.map((one) => one[key][kind])));
    const total = { faults: add("faults"), ns: add("ns") };
    if (!process()) data.latency.forEach((one) => {
      const kind = data.kinds.indexOf(one.kind);
      total.faults[kind] = one.count;
      total.ns[kind] = one.total_ns;
    });
    return total;
  };

  // Drawing.
  const NARROW = () => innerWidth < 640;
  const left = () => (NARROW() ? 44 : 64);
  function surface(canvas, height) {
    const ratio = devicePixelRatio || 1, width = canvas.clientWidth || canvas.parentElement.clientWidth;
    const tall = height || canvas.dataset.height || canvas.getAttribute("height");
    canvas.dataset.height = tall;
    canvas.style.height = `${tall}px`;
    canvas.width = Math.max(1, width * ratio);
    canvas.height = tall * ratio;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.clearRect(0, 0, width, tall);
    pen.font = "11px system-ui, sans-serif";
    return { pen, width, height: Number(tall) };
  }
  const x_of = (ns, width) => left() + ((ns - state.from) / (state.to - state.from)) * (width - left());
  const ns_of = (x, width) => state.from + ((x - left()) / (width - left())) * (state.to - state.from);
  function axis(pen, width, height, most, show, label) {
    pen.fillStyle = colour("--quiet");
    pen.textAlign = "right";
    pen.textBaseline = "top";
    pen.fillText(show(most), left() - 5, 2);
    pen.textBaseline = "bottom";
    pen.fillText("0", left() - 5, height - 14);
    pen.textAlign = "left";
    pen.textBaseline = "top";
    pen.fillText(label, left() + 6, 4);
    pen.strokeStyle = colour("--line");
    pen.strokeRect(left() + 0.5, 0.5, width - left() - 1, height - 15);
    pen.textBaseline = "bottom";
    for (let step = 0; step <= 4; step += 1) {
      const ns = state.from + ((state.to - state.from) * step) / 4;
      pen.textAlign = step === 0 ? "left" : step === 4 ? "right" : "center";
      pen.fillText(time(ns), x_of(ns, width), height);
    }
  }
  // First and last column that are in sight.
  const span = () => [Math.max(0, Math.floor(state.from / data.column_ns)), Math.min(COLUMNS - 1, Math.ceil(state.to / data.column_ns))];

  function drawFaults() {
    const { pen, width, height } = surface($("faults"));
    const floor = height - 15, [first, last] = span(), all = series().faults;
    let most = 1;
    for (let at = first; at <= last; at += 1) most = Math.max(most, chosen(all.map((values) => values[at] || 0)));
    axis(pen, width, height, most, count, `faults in ${time(data.column_ns)}`);
    for (let at = first; at <= last; at += 1) {
      const x = Math.max(left(), x_of(at * data.column_ns, width)), end = x_of((at + 1) * data.column_ns, width);
      let base = floor;
      all.forEach((values, kind) => {
        if (!state.kinds[kind] || !values[at]) return;
        const tall = (values[at] / most) * (floor - 14);
        pen.fillStyle = colour(COLOURS[kind]);
        pen.fillRect(x, base - tall, Math.max(1, end - x - 0.2), tall);
        base -= tall;
      });
    }
  }
  function drawResident() {
    const { pen, width, height } = surface($("resident"));
    const floor = height - 15, [first, last] = span(), values = series().resident, cap = data.cap_pages;
    let most = 1;
    for (let at = first; at <= last; at += 1) most = Math.max(most, values[at] || 0);
    const top = Math.max(most, cap && cap < most * 4 ? cap : 0) * 1.08;
    axis(pen, width, height, top / 1.08, pages, cap ? `resident; the cap is ${pages(cap)}` : "resident; no cap");
    const y = (value) => floor - (value / top) * (floor - 14);
    pen.beginPath();
    pen.moveTo(Math.max(left(), x_of(first * data.column_ns, width)), floor);
    for (let at = first; at <= last; at += 1) {
      pen.lineTo(Math.max(left(), x_of(at * data.column_ns, width)), y(values[at] || 0));
      pen.lineTo(x_of((at + 1) * data.column_ns, width), y(values[at] || 0));
    }
    pen.lineTo(x_of((last + 1) * data.column_ns, width), floor);
    pen.fillStyle = colour("--level");
    pen.globalAlpha = 0.75;
    pen.fill();
    pen.globalAlpha = 1;
    if (cap && cap <= top) {
      pen.strokeStyle = colour("--cap");
      pen.setLineDash([6, 4]);
      pen.beginPath();
      pen.moveTo(left(), y(cap));
      pen.lineTo(width, y(cap));
      pen.stroke();
      pen.setLineDash([]);
    }
  }
  function drawSwap() {
    const { pen, width, height } = surface($("swap"));
    const floor = height - 15, [first, last] = span(), into = series().swapped_in, out = series().swapped_out;
    let most = 1;
    for (let at = first; at <= last; at += 1) most = Math.max(most, into[at] || 0, out[at] || 0);
    const middle = (floor + 14) / 2, half = (floor - 14) / 2;
    axis(pen, width, height, most, pages, "swap: up is read, down is written");
    for (let at = first; at <= last; at += 1) {
      const x = Math.max(left(), x_of(at * data.column_ns, width)), wide = Math.max(1, x_of((at + 1) * data.column_ns, width) - x - 0.2);
      pen.fillStyle = colour("--k2");
      pen.fillRect(x, middle - ((into[at] || 0) / most) * half, wide, ((into[at] || 0) / most) * half);
      pen.fillStyle = colour("--k4");
      pen.fillRect(x, middle, wide, ((out[at] || 0) / most) * half);
    }
  }

  // The heat map is that of the chosen process, or of the one with the most faults.
  const hottest = () => process() || data.processes.filter((one) => one.heat)
    .sort((a, b) => sum(b.tally.faults) - sum(a.tally.faults))[0];
  function drawHeat() {
    const of = hottest(), heat = of && of.heat;
    $("heat-section").hidden = !heat;
    if (!heat) return;
    $("heat-hint").textContent = `Faults of ${short(of.program)} (${of.pid}) by address and time; areas without faults are left out.`;
    const tall = Math.min(640, Math.max(160, heat.rows.length * 4 + 15));
    const { pen, width, height } = surface($("heat"), tall);
    const floor = height - 15, row_height = floor / heat.rows.length, column_ns = TOTAL / heat.columns;
    let most = 1;
    for (let at = 2; at < heat.cells.length; at += 3) most = Math.max(most, heat.cells[at]);
    pen.fillStyle = colour("--k2");
    for (let at = 0; at < heat.cells.length; at += 3) {
      const [row, column, n] = [heat.cells[at], heat.cells[at + 1], heat.cells[at + 2]];
      if ((column + 1) * column_ns < state.from || column * column_ns > state.to) continue;
      const x = Math.max(left(), x_of(column * column_ns, width));
      pen.globalAlpha = 0.25 + 0.75 * (Math.log1p(n) / Math.log1p(most));
      pen.fillRect(x, floor - (row + 1) * row_height, Math.max(1, x_of((column + 1) * column_ns, width) - x), Math.max(1, row_height));
    }
    pen.globalAlpha = 1;
    pen.strokeStyle = colour("--line");
    pen.strokeRect(left() + 0.5, 0.5, width - left() - 1, floor);
    areas(heat).forEach(([name, first, last]) => {
      const top = floor - (last + 1) * row_height, bottom = floor - first * row_height;
      pen.strokeStyle = colour("--line");
      pen.beginPath();
      pen.moveTo(left(), Math.round(top) + 0.5);
      pen.lineTo(width, Math.round(top) + 0.5);
      pen.stroke();
      if (bottom - top < 12) return;
      pen.lineWidth = 3;
      pen.strokeStyle = colour("--card");
      pen.fillStyle = colour("--ink");
      pen.textAlign = "left";
      pen.textBaseline = "top";
      pen.strokeText(name, left() + 5, top + 2);
      pen.fillText(name, left() + 5, top + 2);
      pen.lineWidth = 1;
    });
    pen.fillStyle = colour("--quiet");
    pen.textBaseline = "bottom";
    for (let step = 0; step <= 4; step += 1) {
      const ns = state.from + ((state.to - state.from) * step) / 4;
      pen.textAlign = step === 0 ? "left" : step === 4 ? "right" : "center";
      pen.fillText(time(ns), x_of(ns, width), height);
    }
  }
  // Rows that follow each other in one area: its name, first and last row.
  function areas(heat) {
    const found = [];
    heat.rows.forEach((row, at) => {
      const last = found[found.length - 1];
      if (last && last[0] === row.area) last[2] = at;
      else found.push([row.area, at, at]);
    });
    return found;
  }

  function mix(part) {
    const channels = (name) => [1, 3, 5].map((at) => parseInt(colour(name).slice(at, at + 2), 16));
    const [early, late] = [channels("--early"), channels("--late")];
    return `rgb(${early.map((value, at) => Math.round(value + (late[at] - value) * part)).join(",")})`;
  }
  function drawImages() {
    $("images-section").hidden = data.images.length === 0;
    const table = $("images");
    table.replaceChildren(head(["file", "brought in, and when", "pages", "came in", "never", "faults", "times", "evicted"], null));
    data.images.forEach((image) => {
      const row = element("tr"), name = element("td", short(image.path), "name"), cell = element("td", undefined, "strip");
      const canvas = element("canvas");
      name.title = image.path;
      cell.append(canvas);
      row.append(name, cell);
      [count(image.pages), count(image.pages_in), percent(image.pages - image.pages_in, image.pages), count(image.faults),
        trim(image.fills / Math.max(1, image.pages_in)), count(image.evicted)].forEach((text) => row.append(element("td", text)));
      table.append(row);
      const { pen, width, height } = surface(canvas, 14), wide = width / image.cells.length;
      pen.fillStyle = colour("--line");
      pen.fillRect(0, 0, width, height);
      image.cells.forEach((n, at) => {
        if (!n) return;
        pen.fillStyle = mix(image.first_ns[at] / TOTAL);
        pen.fillRect(at * wide, 0, Math.max(1, wide), height);
      });
      hover(canvas, (x) => {
        const at = Math.min(image.cells.length - 1, Math.max(0, Math.floor((x / width) * image.cells.length)));
        const first = at * image.pages_per_cell, n = image.cells[at];
        return `${image.path}\npages ${first} to ${Math.min(image.pages, first + image.pages_per_cell) - 1}\n` +
          (n ? `${count(n)} brought in, first after ${time(image.first_ns[at])}` : "never brought in");
      });
    });
  }

  function drawLatency() {
    const place = $("latency");
    place.replaceChildren();
    $("latency-section").hidden = data.latency.length === 0;
    const kind_of = (one) => data.kinds.indexOf(one.kind), drawn = data.latency.filter((one) => state.kinds[kind_of(one)]);
    // All boxes first: their number decides how wide each is.
    const canvases = drawn.map((one) => {
      const box = element("div"), canvas = element("canvas"), told = `median ${time(one.p50_ns)}, 99 % within ${time(one.p99_ns)}`;
      box.append(element("b", one.kind), element("span", ` ${count(one.count)}`, "hint"), element("div", told, "hint"), canvas);
      place.append(box);
      return canvas;
    });
    drawn.forEach((one, at_box) => {
      const kind = kind_of(one), canvas = canvases[at_box];
      const { pen, width, height } = surface(canvas, 84), floor = height - 14;
      const low = Math.log2(Math.max(1, one.buckets[0][0])), high = Math.max(low + 1, Math.log2(Math.max(2, one.max_ns)));
      const most = Math.max(...one.buckets.map(([, n]) => n)), x = (ns) => ((Math.log2(Math.max(1, ns)) - low) / (high - low)) * width;
      pen.fillStyle = colour(COLOURS[kind]);
      one.buckets.forEach(([ns, n]) => {
        const tall = Math.max(1, (n / most) * floor);
        pen.fillRect(x(ns), floor - tall, Math.max(2, x(ns * 1.125) - x(ns) - 0.5), tall);
      });
      pen.fillStyle = colour("--quiet");
      pen.textBaseline = "bottom";
      pen.fillText(time(2 ** low), 0, height);
      pen.textAlign = "right";
      pen.fillText(time(one.max_ns), width, height);
      hover(canvas, (at) => {
        const near = one.buckets.reduce((best, bucket) => (Math.abs(x(bucket[0]) - at) < Math.abs(x(best[0]) - at) ? bucket : best));
        return `${count(near[1])} faults took about ${time(near[0])}`;
      });
    });
  }

  // Frames as a tree: the page draws what is chosen of it.
  let frames = [];
  function tree() {
    const root = { name: "all", value: 0, children: new Map() };
    data.stacks.forEach((stack) => {
      const value = stack[state.weight];
      if (!value || (process() && !stack.frames[0].endsWith(`(${process().pid})`))) return;
      let node = root;
      root.value += value;
      stack.frames.forEach((name) => {
        if (!node.children.has(name)) node.children.set(name, { name, value: 0, children: new Map(), parent: node });
        node = node.children.get(name);
        node.value += value;
      });
    });
    return root;
  }
  const path_of = (node) => (node.parent ? [...path_of(node.parent), node.name] : []);
  function drawFlame() {
    $("weight").textContent = state.weight === "ns" ? "time in faults" : "number of faults";
    const root = tree();
    $("flame-section").hidden = root.value === 0;
    let top = root;
    (state.frame || []).forEach((name) => { top = top && top.children.get(name); });
    if (!top) { state.frame = null; top = root; }
    const depth = (node) => 1 + Math.max(0, ...[...node.children.values()].map(depth));
    const above = path_of(top).length, rows = above + depth(top), tall = 19;
    const { pen, width } = surface($("flame"), rows * tall);
    frames = [];
    const place = (node, level, x, wide) => {
      if (wide < 0.5) return;
      frames.push({ node, x, y: level * tall, wide });
      const shade = [...node.name].reduce((hash, c) => (hash * 31 + c.charCodeAt(0)) % 997, 7) / 997;
      pen.fillStyle = mix(shade);
      pen.globalAlpha = node === top || level > above ? 0.8 : 0.4;
      pen.fillRect(x, level * tall, Math.max(1, wide - 0.7), tall - 1);
      pen.globalAlpha = 1;
      if (wide > 28) {
        pen.save();
        pen.beginPath();
        pen.rect(x, level * tall, wide - 4, tall);
        pen.clip();
        pen.fillStyle = "#fff";
        pen.textBaseline = "middle";
        pen.textAlign = "left";
        pen.fillText(node.name, x + 4, level * tall + tall / 2);
        pen.restore();
      }
    };
    for (let node = top, level = above; node; node = node.parent, level -= 1) place(node, level, 0, width);
    const below = (node, level, x, wide) => {
      let at = x;
      [...node.children.values()].sort((a, b) => b.value - a.value).forEach((child) => {
        const part = (child.value / node.value) * wide;
        place(child, level, at, part);
        if (part >= 0.5) below(child, level + 1, at, part);
        at += part;
      });
    };
    below(top, above + 1, 0, width);
  }
  const frame_at = (x, y) => frames.find((one) => x >= one.x && x < one.x + one.wide && y >= one.y && y < one.y + 19);

  function head(names, sorted) {
    const row = element("tr");
    names.forEach((name, at) => {
      const cell = element("th", name, at === 0 ? "name" : "");
      if (sorted) cell.addEventListener("click", () => { state.sort[sorted] = at; drawTables(); });
      row.append(cell);
    });
    return row;
  }
  function drawTable(id, rows, what) {
    const wanted = $("search").value.toLowerCase();
    const columns = [
      (row) => row.name, (row) => short(row.image), (row) => chosen(row.faults), (row) => chosen(row.ns),
      (row) => chosen(row.ns) / Math.max(1, chosen(row.faults)),
      (row) => state.kinds[2] ? row.faults[2] : 0,
    ];
    const by = state.sort[id] === undefined ? 3 : state.sort[id];
    const shown = rows.filter((row) => mine(row) && chosen(row.faults) > 0 && `${row.name} ${row.image}`.toLowerCase().includes(wanted));
    shown.sort((a, b) => { const [x, y] = [columns[by](a), columns[by](b)]; return typeof x === "string" ? x.localeCompare(y) : y - x; });
    const all = chosen(tally().ns), table = $(id);
    table.replaceChildren(head([what, "file", "faults", "time", "each", "swap-ins", "of all time"], id));
    shown.slice(0, 100).forEach((row) => {
      const line = element("tr"), name = element("td", row.name, "name");
      name.title = `${row.name}\n${row.image}`;
      line.append(name, element("td", short(row.image)));
      [count(columns[2](row)), time(columns[3](row)), time(columns[4](row)), count(columns[5](row)), percent(columns[3](row), all)]
        .forEach((text) => line.append(element("td", text)));
      table.append(line);
    });
    if (shown.length === 0) table.append(element("caption", "nothing that fits", "none"));
    return shown.length;
  }
  function drawTables() {
    drawTable("functions", data.functions, "function");
    const lines = data.lines.length > 0;
    $("lines").hidden = $("lines-title").hidden = !lines;
    if (lines) drawTable("lines", data.lines, "line");
  }

  let curve_points = [];
  function drawCurve() {
    const curve = data.curve;
    $("curve-section").hidden = !curve;
    if (!curve) return;
    $("curve-hint").textContent = `Misses at other caps, by the policy of this run (2q) and others; ${size(curve.working_set_bytes)} hold all that is used again. ` +
      "Nothing can be told about caps below the recorded one. opt knows which page is needed last, but brings no other neighbours in.";
    const { pen, width, height } = surface($("curve")), floor = height - 15;
    const names = Object.keys(curve.policies), points = names.flatMap((name) => curve.policies[name]);
    const most = Math.max(1, ...points.map((point) => point.misses));
    const [low, high] = [Math.min(...points.map((point) => point.cap_bytes)), Math.max(...points.map((point) => point.cap_bytes))];
    const x = (bytes) => left() + (high > low ? Math.log(bytes / low) / Math.log(high / low) : 0.5) * (width - left() - 12);
    const y = (misses) => floor - (misses / most) * (floor - 20);
    pen.strokeStyle = colour("--line");
    pen.strokeRect(left() + 0.5, 0.5, width - left() - 1, floor);
    pen.fillStyle = colour("--quiet");
    pen.textAlign = "right";
    pen.fillText(count(most), left() - 5, 24);
    pen.fillText("0", left() - 5, floor);
    pen.textAlign = "left";
    pen.fillText(size(low), left(), height - 2);
    pen.textAlign = "right";
    pen.fillText(size(high), width, height - 2);
    curve_points = [];
    const colours = { "2q": "--k2", lru: "--k0", opt: "--k3" };
    names.forEach((name, at) => {
      pen.strokeStyle = pen.fillStyle = colour(colours[name] || "--level");
      pen.lineWidth = name === "2q" ? 2.2 : 1.2;
      pen.beginPath();
      curve.policies[name].forEach((point) => {
        pen.lineTo(x(point.cap_bytes), y(point.misses));
        curve_points.push({ name, point, x: x(point.cap_bytes), y: y(point.misses) });
      });
      pen.stroke();
      pen.textAlign = "right";
      pen.fillText(name, width - 10, 20 + at * 14);
      curve.policies[name].forEach((point) => { pen.beginPath(); pen.arc(x(point.cap_bytes), y(point.misses), 2.6, 0, 7); pen.fill(); });
    });
    pen.lineWidth = 1;
  }

  function drawTiles() {
    const total = tally(), all = series(), peak = Math.max(0, ...all.resident), ns = chosen(total.ns);
    const tiles = [
      [time(process() ? process().last_ns - process().first_ns : TOTAL), process() ? "from its first to its last event" : "the run"],
      [pages(peak), data.cap_pages ? `most resident, of ${pages(data.cap_pages)}` : "most resident; no cap"],
      [count(chosen(total.faults)), "faults of the chosen kinds"],
      [time(ns), `in them (${percent(ns, TOTAL)} of the run's time, over all threads)`],
      [pages(sum(all.swapped_in)), "read from swap"],
      [pages(sum(all.swapped_out)), "written to swap"],
    ];
    if (!process() && data.ahead.pages) {
      const known = data.ahead.used + data.ahead.wasted;
      tiles.push([percent(data.ahead.used, known || 1), `of ${count(known)} pages brought ahead whose use could be seen were used (${count(data.ahead.pages)} in all)`]);
    }
    $("tiles").replaceChildren(...tiles.map(([big, small]) => {
      const tile = element("div", undefined, "tile");
      tile.append(element("b", big), element("span", small));
      return tile;
    }));
  }

  function drawControls() {
    const button = (text, pressed, act) => {
      const made = element("button", text);
      made.setAttribute("aria-pressed", pressed);
      made.addEventListener("click", act);
      return made;
    };
    const one = (of, at) => button(`${short(of.program)} ${of.pid}`, state.process === at, () => choose({ process: at }));
    $("processes").replaceChildren();
    if (data.processes.length > 1) {
      $("processes").append(button("all processes", state.process < 0, () => choose({ process: -1 })), ...data.processes.map(one));
      if (data.processes_left_out) $("processes").append(element("span", `and ${count(data.processes_left_out)} with fewer faults, in the sums`, "hint"));
    }
    const total = tally();
    $("kinds").replaceChildren(...data.kinds.flatMap((kind, at) => {
      if (!total.faults[at] && !data.latency.some((one) => one.kind === kind)) return [];
      const made = button("", state.kinds[at], () => toggle(at)), dot = element("span", undefined, "dot");
      dot.style.background = `var(${COLOURS[at]})`;
      made.append(dot, `${kind} ${count(total.faults[at])}`);
      made.dataset.kind = kind;
      return [made];
    }));
    const whole = state.from === 0 && state.to === TOTAL;
    $("range").textContent = whole ? "" : `${time(state.from)} to ${time(state.to)}`;
    $("reset").hidden = whole;
  }
  const toggle = (at) => choose({ kinds: state.kinds.map((on, kind) => (kind === at ? !on : on)) });
  function choose(change) {
    Object.assign(state, change);
    draw();
  }
  const timed = () => [drawFaults, drawResident, drawSwap, drawHeat].forEach((part) => part());
  function draw() {
    [drawControls, drawTiles, drawTables, drawImages, drawLatency, drawFlame, drawCurve].forEach((part) => part());
    timed();
  }
  function look(from, to) {
    const wide = Math.min(TOTAL, Math.max(TOTAL / 1e4, to - from));
    state.from = Math.min(Math.max(0, from), TOTAL - wide);
    state.to = state.from + wide;
    drawControls();
    timed();
  }

  // Hovering and dragging.
  const tip = $("tip");
  function say(event, text) {
    tip.hidden = !text;
    if (!text) return;
    tip.textContent = text;
    tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8)}px`;
  }
  function hover(canvas, text) {
    canvas.onpointermove = (event) => say(event, text(event.offsetX, event.offsetY));
    canvas.onpointerleave = () => { tip.hidden = true; };
  }
  function at_time(x, width) {
    const ns = ns_of(x, width), at = Math.floor(ns / data.column_ns), all = series();
    if (at < 0 || at >= COLUMNS || x < left()) return "";
    const kinds = data.kinds.map((kind, index) => [kind, state.kinds[index] ? all.faults[index][at] || 0 : 0]).filter(([, n]) => n);
    return [`after ${time(ns)}`, ...kinds.map(([kind, n]) => `${count(n)} ${kind}`), `resident ${pages(all.resident[at] || 0)}`,
      `swap: ${count(all.swapped_in[at] || 0)} pages read, ${count(all.swapped_out[at] || 0)} written`].join("\n");
  }
  function at_heat(x, y, width) {
    const of = hottest(), heat = of && of.heat;
    if (!heat || x < left()) return "";
    const height = Number($("heat").dataset.height) - 15, at = Math.floor(((height - y) / height) * heat.rows.length), row = heat.rows[at];
    if (!row) return "";
    const column = Math.floor((ns_of(x, width) / TOTAL) * heat.columns);
    let n = 0;
    for (let i = 0; i < heat.cells.length; i += 3) if (heat.cells[i] === at && heat.cells[i + 1] === column) n = heat.cells[i + 2];
    return `${row.area}\n0x${(row.first_page * PAGE).toString(16)}, ${pages(row.pages)}\nafter ${time(ns_of(x, width))}: ${count(n)} faults`;
  }
  document.querySelectorAll("canvas.time").forEach((canvas) => {
    let begin = null;
    canvas.addEventListener("pointerdown", (event) => { begin = event.offsetX; canvas.setPointerCapture(event.pointerId); });
    canvas.addEventListener("pointermove", (event) => {
      const width = canvas.clientWidth;
      say(event, canvas.id === "heat" ? at_heat(event.offsetX, event.offsetY, width) : at_time(event.offsetX, width));
      if (begin === null || event.pointerType === "touch") return;
      timed();
      const pen = canvas.getContext("2d");
      pen.globalAlpha = 0.25;
      pen.fillStyle = colour("--accent");
      pen.fillRect(begin, 0, event.offsetX - begin, canvas.clientHeight);
      pen.globalAlpha = 1;
    });
    canvas.addEventListener("pointerup", (event) => {
      const width = canvas.clientWidth, from = begin;
      begin = null;
      if (from === null || event.pointerType === "touch") return;
      if (Math.abs(event.offsetX - from) < 5) return timed();
      const [a, b] = [from, event.offsetX].map((x) => ns_of(Math.max(left(), x), width)).sort((p, q) => p - q);
      look(a, b);
    });
    canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
    canvas.addEventListener("dblclick", () => look(0, TOTAL));
  });
  hover($("flame"), (x, y) => {
    const one = frame_at(x, y), show = state.weight === "ns" ? time : count;
    return one ? `${path_of(one.node).join(" › ") || "all"}\n${show(one.node.value)}` : "";
  });
  $("flame").addEventListener("click", (event) => {
    const one = frame_at(event.offsetX, event.offsetY);
    if (one) { state.frame = path_of(one.node); drawFlame(); }
  });
  hover($("curve"), (x, y) => {
    const near = curve_points.reduce((best, one) => (!best || Math.hypot(one.x - x, one.y - y) < Math.hypot(best.x - x, best.y - y) ? one : best), null);
    return near ? `${near.name} in ${size(near.point.cap_bytes)}\n${count(near.point.misses)} misses\nabout ${time(near.point.estimated_ns)}` : "";
  });

  const weigh = () => { state.weight = state.weight === "ns" ? "faults" : "ns"; drawFlame(); };
  const theme = () => {
    const dark = document.documentElement.dataset.theme !== "dark";
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    draw();
  };
  $("weight").addEventListener("click", weigh);
  $("reset").addEventListener("click", () => look(0, TOTAL));
  $("theme").addEventListener("click", theme);
  $("help").addEventListener("click", () => $("keys").showModal());
  $("search").addEventListener("input", drawTables);
  document.addEventListener("keydown", (event) => {
    if (event.target.tagName === "INPUT" || event.ctrlKey || event.metaKey || event.altKey) return;
    const wide = state.to - state.from, middle = (state.from + state.to) / 2;
    const keys = {
      "+": () => look(middle - wide / 4, middle + wide / 4), "=": () => look(middle - wide / 4, middle + wide / 4),
      "-": () => look(middle - wide, middle + wide), ArrowLeft: () => look(state.from - wide / 4, state.to - wide / 4),
      ArrowRight: () => look(state.from + wide / 4, state.to + wide / 4), 0: () => look(0, TOTAL),
      p: () => choose({ process: state.process + 1 >= data.processes.length ? -1 : state.process + 1 }),
      w: weigh, d: theme, "?": () => $("keys").showModal(), "/": () => $("search").focus(),
    };
    const act = keys[event.key] || (event.key >= "1" && event.key <= "5" ? () => toggle(Number(event.key) - 1) : null);
    if (act) { event.preventDefault(); act(); }
  });

  // The head of the page, once.
  $("program").textContent = data.program;
  $("arguments").textContent = data.arguments.join(" ");
  const total = tally(), again = total.faults[2];
  $("verdict").textContent = `${count(sum(total.faults))} faults took ${time(sum(total.ns))} of ${time(TOTAL)}` +
    (again ? `; ${percent(again, sum(total.faults))} of them fetched a page back from swap, which more memory would have saved.` : "; none had to fetch a page back from swap.");
  $("warnings").append(...data.warnings.map((text) => element("li", text)));
  const forced = new URLSearchParams(location.search).get("theme") || location.hash.slice(1);
  const dark = forced ? forced === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  addEventListener("resize", draw);
  draw();
  document.documentElement.dataset.ready = "yes";
})();
