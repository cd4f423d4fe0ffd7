// The leaderboard page. Whatever comes from records reaches the document as text only, never as markup.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const make = (tag, text, properties = {}) => {
    const element = Object.assign(document.createElement(tag), properties);
    if (text !== undefined && text !== null) element.textContent = text;
    return element;
  };
  // Halves go up, as in rounding.py: toFixed alone would round 85.85 by its last binary digit.
  const rounded = (value, digits) => (Math.floor(value * 10 ** digits + 0.5 + 1e-9) / 10 ** digits).toFixed(digits);
  const percent = (value, digits = 1) => (value === null || value === undefined ? "" : rounded(value, digits));
  const range = (ends) => (ends && ends[0] !== null ? `${percent(ends[0], 2)} to ${percent(ends[1], 2)}` : "not known");
  const short = (value) => {
    for (const [size, suffix] of [[1e12, " T"], [1e9, " G"], [1e6, " M"], [1e3, " k"]])
      if (value >= size) return `${Number((value / size).toPrecision(3))}${suffix}`;
    return String(Number(value.toPrecision(3)));
  };
  const confidence = `${Math.round(100 * data.confidence)} % interval`;

  // --- Rows: one flat object each, as the table library wants them.
  const rows = data.rows.map((row, id) => {
    const flat = {
      id, row, name: row.name, source: row.source, rank: row.rank, mean: row.mean, petl: row.petl_mean,
      iqm: row.interquartile_mean, parameters: row.parameters, macs: row.macs, speed: row.images_per_second,
      seconds: row.seconds, size: row.feature_size, input: row.input_size ? Math.max(...row.input_size) : null,
      text: `${row.name}\n${row.spec}\n${row.source}\n${row.key}`.toLowerCase(),
    };
    row.groups.forEach((value, i) => { flat[`g${i}`] = value; });
    row.scores.forEach((value, i) => { flat[`t${i}`] = value; });
    return flat;
  });
  const best = {};
  for (const flat of rows) {
    if (flat.row.reference) continue;
    for (const [field, value] of Object.entries(flat))
      if (/^(mean|petl|iqm|[gt]\d+)$/.test(field) && value !== null && !(best[field] >= value)) best[field] = value;
  }

  // --- Columns.
  const title = (cell) => make("span", cell.getValue());
  const number = (write, ...classes) => (cell) => {
    const element = cell.getElement(), value = cell.getValue();
    element.tabIndex = -1;
    element.classList.add(...classes);
    if (value === null || value === undefined) {
      element.classList.add("empty");
      const task = /^t(\d+)$/.exec(cell.getField());
      return task && cell.getData().row.diverged.includes(Number(task[1])) ? "div." : "";
    }
    const field = cell.getField();
    if (field in best && value === best[field] && !cell.getData().row.reference) element.classList.add("best");
    return write(value);
  };
  // On a phone a name has two lines. Of a longer one the middle is left out, where that leaves no two names alike.
  const cutAt = (text, most, head) => `${text.slice(0, head)}…${text.slice(text.length - (most - 1 - head))}`;
  const shortNames = (most) => {
    const names = [...new Set(rows.map((flat) => flat.name))];
    const ways = [0.5, 0.3, 0.7, 0.1, 0.9].map((share) => Math.round(share * (most - 1)));
    const counts = ways.map((head) => {
      const seen = new Map();
      for (const text of names) { const cut = text.length > most ? cutAt(text, most, head) : text; seen.set(cut, (seen.get(cut) || 0) + 1); }
      return seen;
    });
    return new Map(names.map((text) => {
      if (text.length <= most) return [text, text];
      const way = ways.findIndex((head, i) => counts[i].get(cutAt(text, most, head)) === 1);
      // Alike whatever is left out: then numbered.
      return [text, way < 0 ? `${cutAt(text, most - 4, ways[0] - 2)} #${names.indexOf(text) + 1}` : cutAt(text, most, ways[way])];
    }));
  };
  const narrow = window.matchMedia("(max-width: 600px)").matches;
  const inTable = narrow ? shortNames(26) : null;
  const inWins = narrow ? shortNames(20) : null;
  const name = (cell) => {
    cell.getElement().tabIndex = -1;
    const button = make("button", inTable ? inTable.get(cell.getValue()) : cell.getValue(), { type: "button", className: "name", tabIndex: -1 });
    button.dir = "auto";
    return button;
  };
  const text = (cell) => { cell.getElement().tabIndex = -1; return make("span", cell.getValue()); };
  const numeric = (field, heading, write, options = {}) => ({
    field, title: heading, titleFormatter: title, formatter: number(write, ...(options.classes || [])), hozAlign: "right",
    sorter: "number", sorterParams: { alignEmptyValues: "bottom" }, headerSortStartingDir: options.first || "desc",
    width: options.width || 84, visible: options.visible !== false,
    cssClass: options.edge ? "edge" : "",
  });
  const score = (value) => percent(value);
  const rankOf = (row) => (row.tied_rank === null || row.tied_rank === undefined ? "" : `${row.tied_rank}${row.tied ? " =" : ""}`);
  const columns = [
    { ...numeric("rank", "Rank", String, { first: "asc", width: 74 }),
      formatter: (cell) => number(() => rankOf(cell.getData().row))(cell) },
    { field: "name", title: "Backbone", titleFormatter: title, formatter: name, sorter: "string", frozen: true,
      width: narrow ? 140 : 250 },
    numeric("mean", "Mean", score, { classes: ["mean"], width: 78 }),
    ...data.groups.map((group, i) => numeric(`g${i}`, group[0].toUpperCase() + group.slice(1), score, { width: 128 })),
    ...data.groups.map((group, g) => ({
      title: group, titleFormatter: title,
      columns: data.tasks.map((task, t) => [task, t]).filter(([task]) => task.group === group)
        .map(([task, t], i) => numeric(`t${t}`, task.title, score, { width: Math.max(74, 42 + 8.4 * Math.min(20, task.title.length)), edge: i === 0 })),
    })),
    numeric("petl", "Mean of groups", score, { width: 146, edge: true }),
    numeric("iqm", "IQ mean", score, { width: 100 }),
    numeric("parameters", "Params", short, { first: "asc", width: 94 }),
    numeric("macs", "Mult-adds", short, { first: "asc", width: 112 }),
    numeric("speed", "Images/s", short, { width: 104 }),
    numeric("seconds", "Seconds", short, { first: "asc", width: 100 }),
    numeric("input", "Pixels", String, { visible: false }),
    numeric("size", "Features", String, { visible: false, width: 100 }),
    { field: "source", title: "Source", titleFormatter: title, formatter: text, sorter: "string", width: 110 },
  ];
  // A frozen column must come first where it is the only one that stays.
  if (narrow) columns.splice(0, 2, columns[1], columns[0]);
  else columns[0].frozen = true;

  const table = new Tabulator("#table", {
    data: rows, index: "id", columns, maxHeight: narrow ? "70vh" : "74vh", rowHeight: narrow ? 44 : 31, layout: "fitData",
    nestedFieldSeparator: false, columnHeaderSortMulti: true, headerSortClickElement: "header", movableColumns: false,
    placeholder: "No backbone fits the search.", initialSort: [{ column: "mean", dir: "desc" }],
    renderVerticalBuffer: 200, keybindings: false,
    rowFormatter: (row) => { if (row.getData().row.reference) row.getElement().classList.add("reference"); },
  });
  window.leaderboard = { table, data };

  // --- Search and filters.
  const sources = [...new Set(rows.map((flat) => flat.source))].sort();
  for (const source of sources) $("source").append(make("option", source, { value: source }));
  $("references-field").hidden = !rows.some((flat) => flat.row.reference);
  const wanted = () => $("search").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (flat, words, source, complete, references) =>
    (!source || flat.source === source) && (!complete || flat.row.missing.length === 0) &&
    (references || !flat.row.reference) && words.every((word) => flat.text.includes(word));
  const filter = () => {
    const settings = [wanted(), $("source").value, $("complete").checked, $("references").checked];
    table.setFilter((flat) => fits(flat, ...settings));
    count();
  };
  const count = () => {
    const shown = table.getDataCount("active");
    $("count").textContent = shown === rows.length ? `${shown} rows` : `${shown} of ${rows.length} rows`;
  };
  $("search").addEventListener("input", filter);
  for (const id of ["source", "complete", "references"]) $(id).addEventListener("change", filter);
  $("controls").addEventListener("submit", (event) => event.preventDefault());

  // --- Columns by group and one by one.
  const fieldsOf = (g) => [`g${g}`, ...data.tasks.flatMap((task, t) => (task.group === data.groups[g] ? [`t${t}`] : []))];
  const boxes = new Map();
  const show = (fields, visible) => {
    table.blockRedraw();
    for (const field of fields) {
      table[visible ? "showColumn" : "hideColumn"](field);
      boxes.get(field).checked = visible;
    }
    table.restoreRedraw();
    headings();
  };
  const tick = (heading, checked, change) => {
    const label = make("label", null, { className: "tick" });
    const box = make("input", null, { type: "checkbox", checked });
    box.addEventListener("change", () => change(box.checked));
    label.append(box, make("span", heading));
    return [label, box];
  };
  data.groups.forEach((group, g) => $("groups").append(tick(group, true, (visible) => show(fieldsOf(g), visible))[0]));
  const listed = columns.flatMap((column) => column.columns || [column]).filter((column) => column.field !== "name");
  for (const column of listed) {
    const [label, box] = tick(column.title, column.visible !== false, (visible) => show([column.field], visible));
    boxes.set(column.field, box);
    $("columns").querySelector(".menu").append(label);
  }
  document.addEventListener("click", (event) => { if (!$("columns").contains(event.target)) $("columns").open = false; });

  // --- What a number is: on hover, focus and tap.
  const about = (flat, field) => {
    const { row } = flat, missing = row.missing.length ? `\nMissing: ${row.missing.join(", ")}` : "";
    const task = /^t(\d+)$/.exec(field), group = /^g(\d+)$/.exec(field);
    if (task) {
      const t = Number(task[1]), heading = `${row.name}\n${data.tasks[t].title}: `;
      if (row.reference) return `${heading}${percent(row.scores[t], 2) || "not reported"} (published)`;
      const seeds = row.seeds[t].map((value, s) => `seed ${data.seeds[s]}: ${percent(value, 2) || row.states[t][s] || "no record"}`);
      if (row.scores[t] === null) return `${heading}no score\n${seeds.join("\n")}`;
      return `${heading}${percent(row.scores[t], 2)} %\n${confidence}: ${range(row.intervals[t])}\n${seeds.join("\n")}\n` +
        `${row.examples[t].toLocaleString("en")} test examples, data ${data.tasks[t].variant}`;
    }
    if (group) {
      const g = Number(group[1]), value = row.groups[g];
      return `${row.name}\nMean of ${data.groups[g]}: ${value === null ? `empty${missing}` : `${percent(value, 2)} %`}` +
        (row.reference || value === null ? "" : `\n${confidence}: ${range(row.group_intervals[g])}`);
    }
    if (field === "mean" || field === "rank") {
      if (row.mean === null) return `${row.name}\nNo mean: a mean over fewer tasks would be another number.${missing}`;
      return `${row.name}\nMean: ${percent(row.mean, 2)} %` + (row.reference ? " (published)" :
        `\n${confidence}: ${range(row.mean_interval)}\nRank ${rankOf(row)} (${row.rank} by the mean), interval ${row.rank_interval.join(" to ")}`);
    }
    if (field === "name") return row.reference ? `${row.name}\n${row.origin.map(([k, v]) => `${k}: ${v}`).join("\n")}` : `${row.name}\n${row.spec}`;
    const value = flat[field];
    const where = field === "speed" && row.measured_on ? `\nMeasured on ${row.measured_on}` : "";
    return typeof value === "number" ? `${row.name}\n${boxes.get(field).nextSibling.textContent}: ${value.toLocaleString("en")}${where}` : "";
  };
  const aboutColumn = (field) => {
    const task = /^t(\d+)$/.exec(field || "");
    if (task) {
      const t = data.tasks[Number(task[1])];
      return `${t.name}: ${t.group}, ${t.classes} classes` + (t.chance === null ? "" : `, chance ${percent(100 * t.chance)} %`) + `, data ${t.variant}`;
    }
    return { mean: "Mean over all tasks: the official score.", petl: "Mean of the means of the groups, as papers on parameter-efficient tuning report. Not the official score.",
      iqm: "Interquartile mean: of the middle half of the tasks.", speed: "Test images a second, on the machine of the records.",
      seconds: "Of all the records of the row.", rank: "By the mean over all tasks. Backbones that are not told apart tie, marked =." }[field] || "";
  };
  const tip = $("tip");
  let described = null;
  const hide = () => { tip.hidden = true; if (described) described.removeAttribute("aria-describedby"); described = null; };
  const point = (element) => {
    const cell = element.closest(".tabulator-cell"), column = element.closest(".tabulator-col");
    const place = cell || column;
    if (!place) return hide();
    const found = cell ? rowOf(cell) : null;
    const words = cell ? (found ? about(found.getData(), cell.getAttribute("tabulator-field")) : "") : aboutColumn(column.getAttribute("tabulator-field"));
    if (!words) return hide();
    hide();
    tip.textContent = words;
    tip.hidden = false;
    described = place;
    place.setAttribute("aria-describedby", "tip");
    const box = place.getBoundingClientRect(), own = tip.getBoundingClientRect();
    const below = box.bottom + 6 + own.height < innerHeight;
    tip.style.left = `${Math.max(6, Math.min(box.left, innerWidth - own.width - 6))}px`;
    tip.style.top = `${below ? box.bottom + 6 : Math.max(6, box.top - own.height - 6)}px`;
  };
  const rowOf = (cell) => {
    const element = cell.closest(".tabulator-row");
    return table.getRows("visible").find((row) => row.getElement() === element) || null;
  };
  $("table").addEventListener("mouseover", (event) => point(event.target));
  $("table").addEventListener("mouseleave", hide);
  $("table").addEventListener("focusin", (event) => point(event.target));
  $("table").addEventListener("focusout", hide);
  $("table").addEventListener("scroll", hide, true);

  // --- Where a row comes from.
  const place = (row, t, s) => {
    const where = row.places[t][s];
    if (where === null || where.startsWith(".")) return where;
    const [number, end] = where.split("-"), [root, folder] = data.places[number];
    return [root, row.folder, encodeURIComponent(data.tasks[t].name), folder, `seed${data.seeds[s]}-${end}.json`].join("/");
  };
  const open = (flat) => {
    const { row } = flat, body = $("details").querySelector(".body");
    $("details-title").textContent = row.name;
    body.replaceChildren();
    const list = make("dl");
    const facts = row.reference ? row.origin : [
      ["spec", row.spec], ["folder", row.key], ["weights (sha256)", row.weights], ["architecture", row.architecture],
      ["pretrained", row.pretrained ? "yes" : "no: random weights"], ["input", row.input_size.join(" x ")],
      ["parameters", row.parameters.toLocaleString("en")], ["multiply-adds", row.macs === null ? "not counted" : row.macs.toLocaleString("en")],
      ["protocol", data.protocol], ["mean", row.mean === null ? "empty: tasks are missing" : `${percent(row.mean, 2)} (${confidence} ${range(row.mean_interval)})`],
    ];
    for (const [key, value] of facts) list.append(make("dt", key), make("dd", value));
    if (row.command) {
      list.append(make("dt", "missing"), make("dd", row.missing.join(", ")), make("dt", "finish it with"));
      const command = make("dd");
      command.append(make("code", row.command));
      list.append(command);
    }
    body.append(list);
    const grid = make("table"), head = make("tr");
    for (const heading of ["task", "score", ...(row.reference ? [] : [confidence, "seeds, each with its record"])]) head.append(make("th", heading));
    grid.append(head);
    data.tasks.forEach((task, t) => {
      const line = make("tr");
      line.append(make("td", task.title), make("td", percent(row.scores[t], 2) || (row.diverged.includes(t) ? "diverged" : "none")));
      if (!row.reference) {
        const seeds = make("td");
        row.seeds[t].forEach((value, s) => {
          const link = place(row, t, s), label = `${data.seeds[s]}: ${percent(value, 2) || row.states[t][s] || "none"}`;
          seeds.append(link ? make("a", label, { href: link }) : make("span", label), " ");
        });
        line.append(make("td", row.intervals[t][0] === null ? "" : range(row.intervals[t])), seeds);
      }
      grid.append(line);
    });
    const scroll = make("div", null, { className: "scroll" });
    scroll.append(grid);
    body.append(scroll);
    hide();
    $("details").showModal();
  };
  $("details").addEventListener("click", (event) => { if (event.target === $("details")) $("details").close(); });
  $("table").addEventListener("click", (event) => {
    const button = event.target.closest("button.name");
    if (button) open(rowOf(button).getData());
  });

  // --- Keyboard: one stop for the headings and one for the cells; arrows move inside.
  const visible = (selector) => [...$("table").querySelectorAll(selector)].filter((element) => element.offsetParent !== null);
  const headings = () => visible(".tabulator-col[tabulator-field]").forEach((element, i) => { element.tabIndex = i ? -1 : 0; });
  const step = (elements, from, by) => {
    const next = elements[Math.max(0, Math.min(elements.length - 1, elements.indexOf(from) + by))];
    if (next) { next.focus(); next.scrollIntoView({ block: "nearest", inline: "nearest" }); }
  };
  const keyInHead = (event, column) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, Home: -1e6, End: 1e6 }[event.key];
    if (by) {
      const all = visible(".tabulator-col[tabulator-field]");
      all.forEach((element) => { element.tabIndex = -1; });
      step(all, column, by);
      document.activeElement.tabIndex = 0;
    } else if (event.key === "Enter" || event.key === " ") column.dispatchEvent(new MouseEvent("click", { bubbles: true, shiftKey: event.shiftKey }));
    else if (event.key === "ArrowDown") enter();
    else return;
    event.preventDefault();
  };
  const enter = () => {
    const holder = $("table").querySelector(".tabulator-tableholder").getBoundingClientRect();
    const first = visible(".tabulator-row").find((element) => element.getBoundingClientRect().top >= holder.top - 1);
    if (first) first.querySelector(".tabulator-cell[tabulator-field=name]").focus();
  };
  const keyInCell = (event, cell) => {
    const field = cell.getAttribute("tabulator-field"), row = rowOf(cell);
    if (event.key === "Enter") open(row.getData());
    else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      const cells = [...cell.parentElement.querySelectorAll(".tabulator-cell")].filter((element) => element.offsetParent !== null);
      cells.sort((a, b) => a.getBoundingClientRect().left - b.getBoundingClientRect().left);
      step(cells, cell, event.key === "ArrowLeft" ? -1 : 1);
    } else if (["ArrowDown", "ArrowUp", "PageDown", "PageUp", "Home", "End"].includes(event.key)) {
      const all = table.getRows("active"), by = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15, Home: -1e9, End: 1e9 }[event.key];
      const at = all.indexOf(row) + by;
      if (at < 0 && event.key === "ArrowUp") { visible(".tabulator-col[tabulator-field]").find((e) => e.getAttribute("tabulator-field") === field).focus(); }
      else {
        const target = all[Math.max(0, Math.min(all.length - 1, at))];
        table.scrollToRow(target, "nearest", false).catch(() => {}).then(() => target.getCell(field).getElement().focus({ preventScroll: true }));
      }
    } else if (event.key === "Escape") hide();
    else return;
    event.preventDefault();
  };
  $("table").addEventListener("keydown", (event) => {
    const cell = event.target.closest(".tabulator-cell"), column = event.target.closest(".tabulator-col");
    if (cell) keyInCell(event, cell);
    else if (column) keyInHead(event, column);
    else if (event.key === "ArrowDown" || event.key === "Enter") { enter(); event.preventDefault(); }
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") { hide(); $("columns").open = false; } });

  // --- Light and dark.
  const themes = { auto: "◐ auto", light: "☀ light", dark: "☾ dark" };
  const theme = (wish) => {
    if (wish === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = wish;
    $("theme").textContent = themes[wish];
    $("theme").setAttribute("aria-label", `Colours: ${wish === "auto" ? "as the system" : wish}`);
    // Some browsers keep no memory for files from the disk.
    try { localStorage.setItem("vtab-theme", wish); } catch { /* then the choice lasts as long as the page */ }
    return wish;
  };
  let chosen = "auto";
  try { chosen = localStorage.getItem("vtab-theme") || "auto"; } catch { /* as above */ }
  chosen = theme(chosen in themes ? chosen : "auto");
  $("theme").addEventListener("click", () => {
    const names = Object.keys(themes);
    chosen = theme(names[(names.indexOf(chosen) + 1) % names.length]);
  });

  // --- Every two of the best.
  if (data.wins.rows.length > 1) {
    const grid = make("table"), head = make("tr"), { rows: shown, better, different, of } = data.wins;
    const called = (b) => (inWins ? inWins.get(data.rows[b].name) : data.rows[b].name);
    head.append(make("th", "is better than"), ...shown.map((b) => make("th", called(b))));
    grid.append(head);
    shown.forEach((b, y) => {
      const line = make("tr");
      line.append(make("th", `${called(b)}  ${rankOf(data.rows[b])}`));
      shown.forEach((_, x) => {
        const cell = make("td", x === y ? "" : better[y][x], { className: x === y ? "self" : different[y][x] ? "" : "alike" });
        if (x !== y) cell.style.setProperty("--share", `${better[y][x]}%`);
        line.append(cell);
      });
      grid.append(line);
    });
    $("wins-grid").append(grid);
    $("wins-note").textContent = "How probable it is, in per cent, that the backbone of the row is better over the suite than that of the column. " +
      "Bold: the two are not told apart." + (of > shown.length ? ` The ${shown.length} best of ${of.toLocaleString("en")}; wins.csv has all.` : "");
    $("wins").hidden = false;
  }

  // --- What is not in the table.
  $("notes").textContent = data.notes.join(" ");
  for (const [heading, lines, total] of data.left_out) {
    const box = make("details"), list = make("ul");
    box.append(make("summary", `${heading} (${total.toLocaleString("en")})`));
    for (const line of lines) list.append(make("li", line));
    if (lines.length < total) list.append(make("li", `and ${(total - lines.length).toLocaleString("en")} more`));
    box.append(list);
    $("left-out").append(box);
    $("left-out").hidden = false;
  }
  table.on("tableBuilt", () => {
    headings();
    count();
    const holder = $("table").querySelector(".tabulator-tableholder");
    holder.setAttribute("aria-label", "Scores; arrow keys move between cells, Enter opens a row");
    document.documentElement.dataset.ready = "yes";
  });
})();
