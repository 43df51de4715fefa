async function unzipped(packed) {
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")));
}

function figures(box, list, none) {
  box.replaceChildren(...(list.length ? [] : [make("p", { className: "soft" }, none)]), ...list.map((figure) => {
    const image = make("img", { alt: figure.title });
    unzipped(figure.svg).then((response) => response.arrayBuffer()).then((bytes) => {
      const url = URL.createObjectURL(new Blob([bytes], { type: "image/svg+xml" }));
      image.onload = () => URL.revokeObjectURL(url);
      image.src = url;
    });
    return make("figure", {}, image, make("figcaption", {}, figure.title));
  }));
}

const ARMS = {
  first_half: "direction from half of the stimuli", second_half: "direction from the other half", shuffled: "direction from shuffled stimuli",
  prompted: "event in the prompt", prompted_neutral: "event in the prompt", combined: "push, and event in the prompt",
};
function armed({ arm, emotion, instruction }) {
  if (arm === "random" || arm === "isotropic") return words(emotion).replace(arm, arm === "random" ? "null direction" : "isotropic null direction");
  const notes = [ARMS[arm], instruction && `instruction ${instruction}`].filter(Boolean);
  return words(emotion) + (notes.length ? ` (${notes.join(", ")})` : "");
}
// An event in words has no dose.
const dosed = (one) => (one.intensity && one.arm !== "prompted" ? `, intensity ${one.intensity}` : "");
const thoughts = (one) => (one.thoughts ? [make("details", {}, make("summary", {}, "thoughts"), make("pre", { className: "soft" }, one.thoughts))] : []);
const chances = (probabilities) => Object.entries(probabilities).map(([label, p]) => `${words(label)} ${(100 * p).toFixed(1)} %`).join(", ");
function card(card, neutral) {
  const asked = card.how !== "not generated";
  const chosen = card.choice ? `chose: ${words(card.choice)}` : asked ? `no choice (${card.how})` : "only the probabilities were measured";
  const other = neutral && neutral.choice && card.choice && card.choice !== neutral.choice ? ", differs from neutral" : "";
  const failed = card.arm === "steered" && data.effects.find((row) => row.exp_id === place().get("cell") && row.emotion === card.emotion && row.failed_check);
  const mass = card.mass == null ? "" : `; ${(100 * card.mass).toFixed(0)} % of all probability is on the options`;
  const shown = chances(card.probabilities);
  return make("div", { className: "card " + card.arm },
    make("h4", {}, armed(card) + dosed(card)),
    make("p", { className: "bad" }, failed ? `manipulation check failed: ${failed.failed_check}` : ""),
    make("p", {}, make("strong", {}, chosen), other),
    make("p", { className: "soft" }, shown ? `before the answer: ${shown}${mass}` : ""),
    ...thoughts(card), ...(asked ? [make("pre", {}, card.answer || "(nothing was generated)")] : []));
}

function freeAnswer(one) {
  return make("div", { className: "card" },
    make("h4", {}, words(one.emotion) + (one.emotion === "neutral" ? "" : `, intensity ${one.intensity}`)),
    make("p", {}, one.choice ? `read as: ${words(one.choice)}` : "could not be read", `; likeliest guided option: ${words(one.guided)}`),
    make("pre", {}, one.text || "(empty)"));
}

// A claim as a checklist: what it needs, then what supports it.
function checklist(row) {
  const mark = { true: ["✓", "good", "yes"], false: ["✗", "bad", "no"], null: ["–", "soft", "not known"] };
  const item = ([name, passed, text]) => {
    const [sign, style, spoken] = mark[passed];
    const box = make("b", { className: style }, sign);
    box.setAttribute("role", "img");
    box.setAttribute("aria-label", spoken);
    return make("li", {}, box, name + ": ", make("span", { className: "soft" }, text));
  };
  const items = row.checklist ? [make("ul", {}, ...row.checklist.map(item))] : [make("p", { className: "soft" }, "The checks of the claim appear when every planned experiment is complete.")];
  return make("div", { className: "card " + state(row).replaceAll(" ", "-") },
    make("h4", {}, `${words(row.emotion)}, intensity ${row.intensity}: ${state(row)}`),
    make("p", {}, `${row.outcome} (${meaning(row)}) ${rate(row)}: `, make("strong", {}, `${show.effect(row.effect)} points`)), forest(row), ...items);
}

function transcript(cell, number) {
  const chosen = cell.transcripts[number];
  $("turn").hidden = !chosen;
  $("prompt").textContent = chosen ? chosen.prompt : "";
  $("prompt").parentElement.hidden = !chosen;
  $("cards").replaceChildren(...(chosen ? chosen.cards.map((one) => card(one, chosen.cards.find((c) => c.arm === "neutral"))) : []));
  $("set").replaceChildren(...cell.transcripts.map((set, index) => make("option", { value: String(index + 1), selected: index === number },
    `${index + 1}. ${set.scenario}, history ${words(set.history)}, options in the order ${words(set.order)}`)));
  $("previous").disabled = number <= 0;
  $("next").disabled = number >= cell.transcripts.length - 1;
}

// All trials of an experiment are in a script beside the page, which is loaded when they are first shown.
const loaded = {};
let limit = 50;
function trials(id, packed) {
  unzipped(packed).then((response) => response.json()).then(({ rows, shared }) => {
    loaded[id] = rows.map((row) => {
      const [scenario, history, order, arm, emotion, instruction, choice, input] = row.slice(0, 8).map((number) => shared[number]);
      const [intensity, id, how, probabilities, thoughts, answer] = row.slice(8);
      return { scenario, history, order, arm, emotion, instruction, choice, input, intensity, id, how, probabilities, thoughts, answer };
    });
    search();
  });
}

function load(id) {
  if (id in loaded) return search();
  loaded[id] = null;
  const missing = () => { $("tfound").textContent = `the file series_report_trials/${id}.js is not beside this page`; };
  $("tfound").textContent = "reading …";
  document.head.append(make("script", { src: `series_report_trials/${encodeURIComponent(id)}.js`, onerror: missing }));
}

function options(select, values, kept) {
  select.replaceChildren(make("option", { value: "" }, "any"), ...[...new Set(values)].sort((a, b) => a.localeCompare(b, "en", { numeric: true })).map((value) => make("option", { value, selected: value === kept }, words(value) || "none")));
}

function search() {
  const now = place(), all = loaded[now.get("cell")];
  if (!all) return;
  const of = (key) => now.get("t" + key) || "", terms = of("find").toLowerCase().split(/\s+/).filter(Boolean);
  for (const key of ["emotion", "arm", "choice"]) options($("t" + key), all.map((one) => one[key]).filter(Boolean), of(key));
  const fits = (one) => ["emotion", "arm", "choice"].every((key) => !of(key) || one[key] === of(key));
  const text = (one) => [one.scenario, one.history, armed(one), one.arm, one.input, one.thoughts, one.answer].join(" ").toLowerCase();
  const kept = all.filter((one) => fits(one) && (!terms.length || (terms.every((word) => text(one).includes(word)))));
  $("tfound").textContent = `${kept.length.toLocaleString("en")} of ${all.length.toLocaleString("en")} trials`;
  $("trials").replaceChildren(...kept.slice(0, limit).map(trial));
  $("tmore").hidden = kept.length <= limit;
}

function trial(one) {
  const chosen = one.choice ? `chose ${words(one.choice)}` : one.how === "not generated" ? "probabilities only" : `no choice (${one.how})`;
  const node = make("details", { className: "trial" }, make("summary", {}, make("strong", {}, armed(one)), `${dosed(one)}: ${chosen} `,
    make("span", { className: "soft" }, `(${chances(one.probabilities)}); ${one.scenario}, history ${words(one.history)}`)));
  // The long texts are added when they are asked for.
  node.ontoggle = () => { if (node.children.length === 1) node.append(...thoughts(one), ...(one.how === "not generated" ? [] : [make("pre", {}, one.answer || "(nothing was generated)")]), make("pre", { className: "soft" }, one.input), make("p", { className: "soft" }, `trial ${one.id}`)); };
  return node;
}

let opened = null;
function detail(now) {
  const id = now.get("cell"), cell = data.cells[id];
  $("cell").hidden = !cell;
  if (!cell) { opened = null; return; }
  if (opened !== id) {
    $("cell-title").textContent = `${words(cell.game)}, ${cell.model}: ${cell.status}`;
    $("cell-error").textContent = cell.error;
    const facts = [...cell.facts, ["started", cell.started], ["ended", cell.ended], ["folder", cell.folder]].filter(([, fact]) => fact);
    $("facts").replaceChildren(...facts.flatMap(([name, fact]) => [make("dt", {}, name), make("dd", {}, fact)]));
    $("checklists").replaceChildren(...data.effects.filter((row) => row.exp_id === id).map(checklist));
    const waiting = cell.status === "completed" ? "The conclusions appear here when every planned experiment is complete." : "No results yet.";
    $("text").replaceChildren(...(cell.text || waiting).split("\n").map((line) => make("p", {}, line)));
    figures($("figures"), [...cell.figures, ...(cell.status === "completed" ? data.model_figures[cell.model] || [] : [])], "No figures yet.");
    $("sampling").textContent = `${cell.transcripts.length} of ${cell.n_transcripts} decisions, sampled independently of the answers.`;
    $("contrasts-note").textContent = `${cell.contrasts.length} of ${cell.n_contrasts} contrasts: all planned ones, and the main contrast at the other intensities. Differences are in percentage points.`;
    $("beside").hidden = !(cell.instructions.length || cell.combined.length);
    $("format").hidden = !cell.format.length;
    $("free-answers").replaceChildren(...cell.free_answers.map(freeAnswer));
    for (const key of ["trials", "tfound"]) $(key).replaceChildren();
    $("tmore").hidden = true;
    limit = 50;
    // A reload of the live page must not move the reader away; following a link must.
    if (opened !== null || !now.has("live")) $("cell-title").focus();
    opened = id;
  }
  if (cell.facts.length) load(id);
  transcript(cell, Math.min(Math.max(Number(now.get("set") || 1), 1), Math.max(cell.transcripts.length, 1)) - 1);
  const sorted = (sortKey, find) => ({ sort: Number(now.get(sortKey) || 0), find, sortKey, frozen: 1 });
  table($("format-table"), "Free answers by condition", formatColumns, cell.format, sorted("fsort", ""));
  for (const [name, caption, columns] of beside) { $(name).hidden = !cell[name].length; table($(name), caption, columns, cell[name], sorted(name, "")); }
  table($("contrasts"), "Differences between conditions", contrastColumns, cell.contrasts, sorted("csort", now.get("cfind") || ""));
}

let timer = 0;
function drawPage() {
  const now = place();
  for (const id of ["find", "cfind", "tfind"]) if ($(id) !== document.activeElement) $(id).value = now.get(id) || "";
  $("wide").checked = now.has("wide");
  const columns = effectColumns.filter((column) => now.has("wide") || !column.wide);
  const open = (row) => ({ cell: row.exp_id, set: "" });
  const count = table($("effects"), "Emotion less neutral, in percentage points of the outcome", columns, data.effects, { sort: Number(now.get("sort") || 0), find: now.get("find") || "", sortKey: "sort", frozen: 3, open });
  $("found").textContent = data.effects.length ? `${count} of ${data.effects.length} rows` : "no rows: no experiment is complete, or no answer could be read";
  sideBySide();
  detail(now);
  clearTimeout(timer);
  if ($("live")) $("live").checked = now.has("live");
  if ($("live") && now.has("live")) timer = setTimeout(() => location.reload(), 10000);
}

for (const id of ["find", "cfind", "tfind", "temotion", "tarm", "tchoice"]) $(id).oninput = (event) => adjust({ [id]: event.target.value });
$("wide").onchange = (event) => adjust({ wide: event.target.checked ? "1" : "", sort: "" });
$("set").onchange = (event) => adjust({ set: event.target.value });
$("previous").onclick = () => adjust({ set: String(Number($("set").value) - 1) });
$("next").onclick = () => adjust({ set: String(Number($("set").value) + 1) });
$("tmore").onclick = () => { limit += 50; search(); };
$("close").onclick = (event) => { event.preventDefault(); visit(Object.fromEntries(["cell", "set", "fsort", "instructions", "combined", "csort", "cfind", "tfind", "temotion", "tarm", "tchoice"].map((key) => [key, ""]))); $("all").scrollIntoView(); };
if ($("live")) $("live").onchange = (event) => adjust({ live: event.target.checked ? "1" : "" });
for (const link of document.querySelectorAll("a[data-cell]")) link.onclick = (event) => { event.preventDefault(); visit({ cell: link.dataset.cell, set: "" }); };
addEventListener("hashchange", drawPage);
addEventListener("beforeprint", () => { for (const part of document.querySelectorAll("#cell details:not(.trial)")) part.open = true; });
legend();
figures($("series-figures"), data.figures, "");
drawPage();
