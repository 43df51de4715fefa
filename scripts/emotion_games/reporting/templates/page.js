const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);

// Children given as strings become text, never markup.
function make(tag, properties, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

// The state of the page is in its address, so that it can be linked to.
const place = () => new URLSearchParams(location.hash.slice(1));
function address(changes) {
  const next = place();
  for (const [key, value] of Object.entries(changes)) value ? next.set(key, value) : next.delete(key);
  return "#" + (next.toString() || "all");
}
const adjust = (changes) => location.replace(address(changes));
const visit = (changes) => { location.hash = address(changes); };

const words = (name) => String(name).replaceAll("_", " ");
function points(value) {
  const shown = Math.abs(100 * value).toFixed(1);
  return (shown === "0.0" ? "" : value < 0 ? "−" : "+") + shown;
}
const show = {
  text: (value) => words(value ?? ""),
  name: (value) => value,
  number: (value) => (value == null ? "–" : value.toLocaleString("en")),
  percent: (value) => (value == null ? "–" : (100 * value).toFixed(1) + "\u00a0%"),
  p: (value) => (value == null ? "–" : value < 0.001 ? "< 0.001" : value.toFixed(3)),
  damage: (value) => (value ? "†" : ""),
  share: (value) => {
    if (value == null) return "–";
    const [estimate, low, high] = value.map((part) => (part == null ? null : (100 * part).toFixed(0)));
    return `${estimate} %` + (low == null || high == null ? "" : ` [${low}, ${high}]`);
  },
  effect: (value) => {
    if (value == null) return "–";
    const [estimate, low, high] = value;
    return points(estimate) + (low == null || high == null ? " [no interval]" : ` [${points(low)}, ${points(high)}]`);
  },
  plot: () => "",
};
const weight = (value) => (Array.isArray(value) ? value[0] : value);

function compare(a, b) {
  if (a == null || b == null) return (a == null) - (b == null);
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
}

// A column has title, kind and value of a row. Optional: wide (only among all columns), far (not on a narrow screen), and
// draw (returns a node). The first `frozen` columns stay when the table is scrolled, and the last of them names the row.
function table(box, caption, columns, rows, { sort, find, sortKey, frozen, open }) {
  const terms = find.toLowerCase().split(/\s+/).filter(Boolean);
  const text = (row) => columns.map((column) => show[column.kind](column.of(row))).join(" ").toLowerCase();
  const kept = rows.filter((row) => terms.every((word) => text(row).includes(words(word))));
  const by = columns[Math.abs(sort) - 1];
  if (by) {
    const of = (row) => weight(by.of(row));
    kept.sort((a, b) => (of(a) == null || of(b) == null ? compare(of(a), of(b)) : Math.sign(sort) * compare(of(a), of(b))));
  }
  const name = (column, index) => [index < frozen ? "frozen" : "", column.far ? "far" : "", column.wide ? "wide-column" : "", column.kind === "plot" ? "plot" : "", column.nowrap ? "nowrap" : ""].join(" ");
  const head = make("tr", {}, ...columns.map((column, index) => {
    const turn = () => adjust({ [sortKey]: String(sort === index + 1 ? -sort : index + 1) });
    const cell = make("th", { scope: "col", className: name(column, index) }, column.head ? column.head() : make("button", { type: "button", onclick: turn }, column.title));
    if (Math.abs(sort) === index + 1) cell.setAttribute("aria-sort", sort > 0 ? "ascending" : "descending");
    return cell;
  }));
  const body = kept.map((row) => make("tr", {}, ...columns.map((column, index) => {
    const shown = column.draw ? column.draw(row) : show[column.kind](column.of(row));
    const isName = index === frozen - 1;
    const content = open && isName ? [make("a", { href: address(open(row)) }, shown), make("small", {}, column.near(row))] : [shown];
    const isNumber = !["text", "name", "plot"].includes(column.kind);
    return make(isName ? "th" : "td", { className: name(column, index) + (isNumber ? " number" : ""), ...(isName ? { scope: "row" } : {}) }, ...content);
  })));
  const focused = [...box.querySelectorAll("button")].indexOf(document.activeElement);
  const made = make("table", {}, make("caption", {}, caption), make("thead", {}, head), make("tbody", {}, ...body));
  box.replaceChildren(made);
  freeze(made, frozen);
  if (focused >= 0) box.querySelectorAll("button")[focused].focus();
  return kept.length;
}

function freeze(made, frozen) {
  let left = 0;
  for (let index = 0; index < frozen; index++) {
    for (const row of made.rows) row.cells[index].style.left = `${left}px`;
    left += made.rows[0].cells[index].offsetWidth;
  }
}

// The forest plot: one small drawing a row, all with the same axis.
const draw = (tag, attributes, ...children) => {
  const node = document.createElementNS("http" + "://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
};
const WIDTH = 260, HEIGHT = 24, MIDDLE = HEIGHT / 2;
const ends = data.effects.flatMap((row) => [...(row.effect || []), ...(row.corrected || []), ...(row.band || [])]).filter((end) => end != null);
const shown = Math.max(0.1, ...ends.map(Math.abs)), sizes = data.effects.map((row) => row.to_claim).filter((size) => size <= 1.6 * shown);
const reach = Math.min(1, 1.08 * Math.max(shown, ...sizes));
const x = (value) => WIDTH * (0.5 + 0.48 * Math.max(-1, Math.min(1, value / reach)));
const line = (from, to, name, y1 = MIDDLE, y2 = y1) => draw("line", { x1: x(from), x2: x(to), y1, y2, class: name });
const svg = (label, width, ...children) => draw("svg", { class: "forest", width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": label }, ...children);
const state = (row) => (row.damaged ? "damages the model" : !data.final ? "interim" : row.claim ? "claimed" : row.moved ? "moved" : "not moved");

function marker(row, at) {
  const style = "point " + (state(row) === "claimed" ? "claimed" : state(row) === "moved" ? "moved" : "");
  if (row.damaged) return draw("path", { d: `M${at - 4} ${MIDDLE - 4}l8 8m0 -8l-8 8`, class: "damaged" });
  if (row.claim && data.final) return draw("path", { d: `M${at} ${MIDDLE - 7}l7 7l-7 7l-7 -7z`, class: style });
  return draw("circle", { cx: at, cy: MIDDLE, r: 4.5, class: style });
}

function forest(row) {
  const parts = [];
  if (row.band) parts.push(draw("rect", { x: x(row.band[0]), width: Math.max(1, x(row.band[1]) - x(row.band[0])), y: 2, height: HEIGHT - 4, class: "null" }));
  parts.push(line(0, 0, "zero", 0, HEIGHT));
  for (const side of row.to_claim == null ? [] : [-row.to_claim, row.to_claim]) if (Math.abs(side) <= reach) parts.push(line(side, side, "seen", 4, HEIGHT - 4));
  if (row.corrected) parts.push(line(...row.corrected, "whole"));
  if (row.effect && row.effect[1] != null) parts.push(line(row.effect[1], row.effect[2], "bar"));
  if (row.effect) parts.push(marker(row, x(row.effect[0])));
  return svg(`${show.effect(row.effect)} points, ${state(row)}`, WIDTH, ...parts);
}

function axis() {
  const step = [0.5, 0.2, 0.1, 0.05, 0.02].find((size) => size <= reach * 0.8);
  const label = (value) => draw("text", { x: x(value), y: HEIGHT - 8, "text-anchor": "middle" }, points(value).replace(".0", "") || "0");
  return svg("axis in percentage points", WIDTH, ...[-step, 0, step].flatMap((value) => [label(value), line(value, value, "zero", HEIGHT - 5, HEIGHT)]));
}

function legend() {
  const one = (text, ...parts) => make("span", {}, svg(text, 26, ...parts), text);
  const bar = (name) => draw("line", { x1: 1, x2: 25, y1: MIDDLE, y2: MIDDLE, class: name });
  const found = data.final ? [["claimed", { claim: true, moved: true }], ["moved, not claimed", { moved: true }], ["not moved", {}]] : [["estimate", {}]];
  $("legend").replaceChildren(
    ...found.map(([text, row]) => one(text, bar("bar"), marker(row, 13))),
    ...(data.effects.some(field("damaged")) ? [one("damages the model: its effect is not interpreted", marker({ damaged: true }, 13))] : []),
    one("interval; thin: corrected for all emotions", bar("whole"), draw("line", { x1: 7, x2: 19, y1: MIDDLE, y2: MIDDLE, class: "bar" })),
    ...(data.effects.some(field("band")) ? [one("where one more null direction would fall", draw("rect", { x: 1, width: 24, y: 3, height: HEIGHT - 6, class: "null" }))] : []),
    ...(data.effects.some(field("to_claim")) ? [one("size that is claimed with 80 % power", draw("line", { x1: 13, x2: 13, y1: 4, y2: HEIGHT - 4, class: "seen" }))] : []));
}

const field = (name) => (row) => row[name];
const meaning = (row) => data.cells[row.exp_id].meaning;
const money = (row) => row.amounts && row.amounts.map((share) => `${(100 * share).toFixed(1)} %`);
function rate(row) {
  const given = money(row);
  return `${show.percent(row.neutral)} → ${show.percent(row.rate)}` + (given ? `; of the money ${given[0]} → ${given[1]}, people ${given[2]}` : "");
}
const effectColumns = [
  { title: "game", kind: "text", of: (row) => data.cells[row.exp_id].game, far: true }, { title: "model", kind: "name", of: (row) => data.cells[row.exp_id].model, far: true },
  { title: "emotion", kind: "text", of: field("emotion"), near: (row) => `${words(data.cells[row.exp_id].game)}, ${data.cells[row.exp_id].model}` },
  { title: "plot", kind: "plot", of: () => "", draw: forest, head: axis }, { title: "finding", kind: "text", of: state, nowrap: true },
  { title: "emotion − neutral", kind: "effect", of: field("effect") }, { title: "outcome", kind: "text", of: meaning },
  { title: "neutral → emotion", kind: "text", of: rate }, { title: "induces the emotion", kind: "text", of: (row) => (row.failed_check ? `no: ${row.failed_check}` : ""), wide: true },
  { title: "emotion − null directions", kind: "effect", of: field("random"), wide: true }, { title: "prompted − prompted neutral", kind: "effect", of: field("prompted"), wide: true },
  ...(data.final ? [{ title: "corrected p of the claim", kind: "p", of: field("p"), wide: true }] : []),
  { title: "intensity", kind: "number", of: field("intensity"), wide: true }, { title: "history", kind: "text", of: field("history"), wide: true },
  { title: "measure", kind: "text", of: field("measure"), wide: true }, { title: "stories", kind: "number", of: field("n_scenarios"), wide: true },
];
const titles = ["contrast", "emotion", "intensity", "history", "measure", "role", "stories", "trials", "difference", "damage", "note", "p", "corrected p"];
const kinds = ["text", "text", "number", "text", "text", "text", "number", "number", "effect", "damage", "text", "p", "p"];
const contrastColumns = titles.slice(0, data.final ? 13 : 11).map((title, index) => ({ title, kind: kinds[index], of: (row) => row[index] }));
const formatColumns = [["emotion", "text", "emotion"], ["intensity", "number", "intensity"], ["free answers", "number", "answers"], ["readable", "share", "readable"],
  ["as guided", "share", "as_guided"], ["free − guided", "effect", "difference"], ["probability of all options, guided", "percent", "mass"]].map(([title, kind, name]) => ({ title, kind, of: field(name) }));
const beside = Object.entries({
  instructions: ["Emotions under an instruction", [["instruction", "instruction", "text"], ["emotion", "emotion", "text"], ["instruction − neutral", "alone"], ["emotion without it", "without"],
    ["emotion under it", "under"], ["difference", "change"], ...(data.final ? [["corrected p", "p_corrected", "p"], ["undone", "undone", "share"]] : []), ["damage", "damaged", "damage"]]],
  combined: ["Events in words beside the push", [["emotion", "emotion", "text"], ["vector", "vector"], ["words", "words"], ["both", "both"],
    ["both − vector", "both_minus_vector"], ["both − words", "both_minus_words"], ["damage", "damaged", "damage"]]],
}).map(([name, [caption, columns]]) => [name, caption, columns.map(([title, key, kind = "effect"]) => ({ title, kind, of: field(key) }))]);

function sideBySide() {
  const models = [...new Set(data.effects.map((row) => data.cells[row.exp_id].model))];
  $("side-by-side").hidden = models.length < 2 && !data.figures.length;
  if ($("side-by-side").hidden) return;
  const rows = models.map((model) => {
    const own = data.effects.filter((row) => data.cells[row.exp_id].model === model), sound = own.filter((row) => !row.damaged && row.effect);
    const sizes = sound.map((row) => Math.abs(row.effect[0])).sort((a, b) => a - b), largest = sound.find((row) => Math.abs(row.effect[0]) === sizes.at(-1));
    return { model, parameters: data.parameters[model], n: own.length, claimed: own.filter((row) => row.claim).length, moved: own.filter((row) => row.moved).length, damaged: own.length - sound.length,
      median: sizes.length ? (sizes[Math.floor((sizes.length - 1) / 2)] + sizes[Math.ceil((sizes.length - 1) / 2)]) / 2 : null, largest };
  });
  const found = data.final ? [["moved", "moved"], ["claimed", "claimed"]] : [];
  const columns = [{ title: "model", kind: "name", of: field("model"), near: () => "" }, ...[["parameters", "parameters"], ["effects", "n"], ...found, ["damage", "damaged"]].map(([title, name]) => ({ title, kind: "number", of: field(name) })),
    { title: "median size of effects, points", kind: "text", of: (row) => (row.median == null ? "–" : (100 * row.median).toFixed(1)) },
    { title: "largest effect", kind: "text", of: (row) => (row.largest ? `${show.effect(row.largest.effect)} ${row.largest.emotion}, ${words(data.cells[row.largest.exp_id].game)}` : "–") }];
  table($("models"), "Models, with all effects that do not damage the model", columns, rows, { sort: Number(place().get("msort") || 0), find: "", sortKey: "msort", frozen: 1, open: (row) => ({ find: row.model }) });
}
