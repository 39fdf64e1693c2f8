"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const PAGE = 100;
  const COLUMNS = data.columns || ["number", "verdict", "code", "name", "bytes", "modified", "laws", "categories", "store",
    "places"];
  const FILTERS = data.filters || ["verdict", "code", "laws", "store", "places"];
  const DETAILS = data.details || ["where", "meaning", "remedy", "reason", "parents", "signals", "rules", "narrowing", "countries", "from",
    "store", "places", "copies", "assurance", "proof", "bases", "clauses", "versions", "mime", "created", "modified",
    "checksum", "keep_until", "erase_by", "retention", "holds", "owner", "due", "saved_month", "outcome", "stored",
    "sha256", "done_at", "detail"];
  const TEXT = new Set(["verdict", "code", "source", "kind", "store", "reason", "narrowing", "mime", "assurance", "proof",
    "owner", "outcome", "detail", "rule"]);
  const NUMBERS = new Set(["number", "bytes", "with"]);
  const PLACES = new Set(["laws", "places", "countries", "from"]);
  const ENGLISH = new Set(["code", "categories", "reason", "rules", "signals", "narrowing", "assurance", "outcome", "detail",
    "retention"]);
  const at = Object.fromEntries(data.fields.map((name, index) => [name, index]));
  const byId = (id) => document.getElementById(id);
  const make = (tag, more = {}, ...inside) => {
    const made = Object.assign(document.createElement(tag), more);
    made.append(...inside);
    return made;
  };
  if (data.rows.some((row) => row[at.outcome] !== undefined && data.texts[row[at.outcome]])) COLUMNS.splice(2, 0, "outcome");

  /* `told`: the sentences that the reader's language says; the others stand in English */
  let words, told = new Set(), tag, found = [], first = 0, sorted = { by: "", up: true };
  const chosen = {};
  let opened = new Set();
  let hay = null;

  const text = (value) => (typeof value === "number" ? words.said[value] ?? data.texts[value] : value);
  /* the raw value of a field: a text, a number, or a list of texts */
  const raw = (row, name) => {
    const value = row[at[name]];
    if (Array.isArray(value)) return value.map(text);
    return TEXT.has(name) ? text(value) : value;
  };
  const country = (code) => words.countries[code] || code;
  const size = (bytes) => {
    const units = ["bytes", "kB", "MB", "GB", "TB", "PB"];
    let unit = 0;
    while (bytes >= 1000 && unit < 5) { bytes /= 1000; unit += 1; }
    const digits = unit && bytes < 100 ? 1 : 0;
    return `${bytes.toLocaleString(tag, { minimumFractionDigits: 0, maximumFractionDigits: digits })}\u00a0${units[unit]}`;
  };
  const shown = (row, name) => {
    const value = raw(row, name);
    if (name === "verdict") return words.verdicts[value] || value;
    if (name === "outcome") return words.names[value] || value;
    if (name === "categories") return value.map((one) => words.names[one] || one).join(", ");
    if (name === "bytes") return size(value);
    if (name === "number" || name === "versions" || name === "with") return value.toLocaleString(tag);
    if (name === "modified") return value.slice(0, 10);
    if (name === "saved_month") return value === null ? "" : value.toLocaleString(tag, { maximumFractionDigits: 4 });
    if (PLACES.has(name)) {
      if (value.length > 12) return value.join(" ");
      return value.map(country).sort((a, b) => a.localeCompare(b, tag)).join(", ");
    }
    return Array.isArray(value) ? value.join(", ") : value;
  };
  const detail = (row, name) => {
    if (name === "where") return `${raw(row, "source")}/${raw(row, "kind")}/${raw(row, "id")}`;
    const wording = words.codes[raw(row, "code")] || ["", ""];
    if (name === "meaning") return wording[0];
    if (name === "remedy") return wording[1];
    if (name === "rules") return raw(row, name).map((rule) => rule.split("\t"));
    const value = raw(row, name);
    return ["parents", "signals", "stored", "modified"].includes(name) ? value : shown(row, name);
  };

  /* everything about a document in lower case, made when somebody searches for the first time */
  const haystack = () => data.rows.map((row) => row.map((value) =>
    (Array.isArray(value) ? value.map(text).join("\n") : value)).concat(
    [...TEXT].map((name) => raw(row, name)),
    [raw(row, "laws"), raw(row, "places")].flat().map(country), words.verdicts[raw(row, "verdict")] || "", shown(row, "categories"), shown(row, "outcome")).join("\n").toLowerCase());

  const matches = (row) => FILTERS.every((name) => {
    if (!(name in chosen)) return true;
    const value = raw(row, name);
    if (Array.isArray(value)) return chosen[name] === "" ? value.length === 0 : value.includes(chosen[name]);
    return value === chosen[name];
  });
  const key = (row, name) => {
    const value = raw(row, name);
    return typeof value === "number" ? value : name === "modified" ? value : shown(row, name).toLowerCase();
  };
  const search = () => {
    const wanted = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    if (wanted.length && !hay) hay = haystack();
    found = [];
    data.rows.forEach((row, index) => {
      if (matches(row) && wanted.every((word) => hay[index].includes(word))) found.push(row);
    });
    if (sorted.by) {
      const compare = new Intl.Collator(tag).compare;
      const keys = new Map(found.map((row) => [row, key(row, sorted.by)]));
      const order = (a, b) => (typeof a === "number" ? a - b : compare(a, b));
      found.sort((a, b) => (sorted.up ? 1 : -1) * order(keys.get(a), keys.get(b)) || a[0] - b[0]);
    }
    first = 0;
    opened = new Set();
    draw();
  };

  const fill = (pattern, values) => pattern.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const mark = (node, name, value) => {
    if (ENGLISH.has(name) && !told.has(value) && !value.split(", ").every((one) => told.has(one))) node.lang = "en";
    return node;
  };
  const isolated = (value, name, whole = value) => mark(make("bdi", { textContent: value }), name, whole);
  const inside = (row, name) => {
    const value = detail(row, name);
    if (!Array.isArray(value)) return isolated(value, name);
    const list = make("ul");
    for (const one of value) {
      if (name !== "rules") { list.append(make("li", {}, isolated(one, name))); continue; }
      const [id, code, origin, sentence] = one;
      const item = make("li");
      const target = `${words.tag}-rule-${id.replace(/[^A-Za-z0-9-]/g, "_")}`;
      if (id && byId(target)) item.append(make("a", { href: `#${target}`, textContent: id }), " ");
      else if (id) item.append(isolated(id, name), " ");
      item.append(isolated(`${code}: ${sentence}`, name, one.join("\t")));
      if (origin) item.append(" ", make("small", {}, isolated(origin, name)));
      list.append(item);
    }
    return list;
  };
  const details = (row) => {
    const list = make("dl", { className: "facts" });
    for (const name of DETAILS) {
      const value = detail(row, name);
      if (value === "" || value === null || (Array.isArray(value) && !value.length)) continue;
      list.append(make("div", {}, make("dt", { textContent: words.titles[name] }), make("dd", {}, inside(row, name))));
    }
    return make("tr", { className: "details" }, make("td", { colSpan: COLUMNS.length }, list));
  };
  const line = (row) => {
    const made = make("tr");
    for (const name of COLUMNS) {
      const cell = make(name === "number" ? "th" : "td");
      if (name === "number") {
        cell.scope = "row";
        const number = row[at.number];
        const button = make("button", { type: "button", className: "more", textContent: shown(row, name) });
        button.setAttribute("aria-expanded", String(opened.has(number)));
        button.setAttribute("aria-label", fill(words.texts.details, { number: shown(row, name) }));
        button.dataset.number = number;
        cell.append(button);
      } else if (name === "verdict") {
        cell.append(make("span", { className: `verdict ${raw(row, name).toLowerCase()}`, textContent: shown(row, name) }));
      } else {
        cell.append(isolated(shown(row, name) || "–", name));
        if (name === "name") cell.append(make("br"), make("small", {}, isolated(detail(row, "where"))));
      }
      if (NUMBERS.has(name)) cell.className = "n";
      if (name === "modified") cell.className = "day";
      if (["name", "code", "reason"].includes(name)) cell.className = name;
      made.append(cell);
    }
    return made;
  };
  const draw = () => {
    const body = document.querySelector("#rows tbody");
    const rows = [];
    for (const row of found.slice(first, first + PAGE)) {
      rows.push(line(row));
      if (opened.has(row[at.number])) rows.push(details(row));
    }
    body.replaceChildren(...rows);
    const number = (value) => value.toLocaleString(tag);
    byId("count").textContent = found.length
      ? fill(words.texts.count, { from: number(first + 1), to: number(Math.min(first + PAGE, found.length)), found: number(found.length) })
      : words.texts.nothing;
    byId("previous").disabled = first === 0;
    byId("next").disabled = first + PAGE >= found.length;
  };
  const head = () => {
    const row = make("tr");
    for (const name of COLUMNS) {
      const cell = make("th", { scope: "col" });
      if (NUMBERS.has(name)) cell.className = "n";
      const button = make("button", { type: "button", className: "sort", textContent: words.titles[name] });
      button.dataset.by = name;
      if (sorted.by === name) cell.setAttribute("aria-sort", sorted.up ? "ascending" : "descending");
      cell.append(button);
      row.append(cell);
    }
    document.querySelector("#rows thead").replaceChildren(row);
  };
  const values = (name) => {
    const seen = new Set();
    for (const row of data.rows) {
      const value = raw(row, name);
      if (!Array.isArray(value)) seen.add(value);
      else if (value.length) value.forEach((one) => seen.add(one));
      else seen.add("");
    }
    const label = (value) => (value === "" ? words.texts.none : name === "verdict" ? words.verdicts[value] || value
      : PLACES.has(name) ? country(value) : value);
    return [...seen].map((value) => [value, label(value)]).sort((a, b) => a[1].localeCompare(b[1], tag));
  };
  const filters = () => {
    const before = byId("search") ? byId("search").value : "";
    const field = (id, label, control) => make("div", {}, make("label", { htmlFor: id, textContent: label }), Object.assign(control, { id }));
    const made = [field("search", words.texts.search, make("input", { type: "search", value: before, autocomplete: "off", spellcheck: false }))];
    for (const name of FILTERS) {
      const select = make("select");
      select.dataset.filter = name;
      select.append(make("option", { value: "*", textContent: words.texts.all }));
      for (const [value, label] of values(name)) {
        const option = mark(make("option", { value: `=${value}`, textContent: label }), name, value);
        option.selected = chosen[name] === value;
        select.append(option);
      }
      made.push(field(`by-${name}`, words.titles[name], select));
    }
    made.push(make("button", { type: "button", id: "clear", textContent: words.texts.clear }));
    document.querySelector(".filters").replaceChildren(...made);
  };

  const speak = (language) => {
    words = data.words[language];
    tag = words.tag;
    told = new Set([words.said, words.names].flatMap(Object.values));
    hay = null;
    document.documentElement.lang = tag;
    document.title = words.title;
    byId("documents").lang = tag;
    for (const one of document.querySelectorAll("article.report")) one.hidden = one.lang !== tag;
    for (const one of document.querySelectorAll("[data-say]")) one.textContent = words.texts[one.dataset.say];
    for (const one of document.querySelectorAll("[data-label]")) one.setAttribute("aria-label", words.texts[one.dataset.label]);
    for (const one of document.querySelectorAll("[data-language]")) one.setAttribute("aria-pressed", String(one.dataset.language === tag));
    const cut = byId("cut");
    cut.hidden = data.total <= data.rows.length;
    if (!cut.hidden) {
      const name = { shown: data.rows.length.toLocaleString(tag), total: data.total.toLocaleString(tag) };
      cut.replaceChildren(...fill(words.texts.cut, { ...name, xlsx: "\u0000xlsx\u0000", csv: "\u0000csv\u0000" }).split("\u0000")
        .map((part) => (part in data.files ? make("a", { href: data.files[part], textContent: data.files[part] }) : part)));
    }
    filters();
    head();
    search();
  };
  const preferred = () => {
    const anchor = /^#([a-z]{2})-/.exec(location.hash);
    const wanted = [anchor && anchor[1], data.first, ...navigator.languages.map((one) => one.slice(0, 2).toLowerCase())];
    return wanted.find((one) => one && one in data.words) || Object.keys(data.words)[0];
  };

  document.querySelector(".languages").addEventListener("click", (event) => {
    const language = event.target.dataset.language;
    if (language) speak(language);
  });
  const form = document.querySelector(".filters");
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", (event) => {
    const { filter } = event.target.dataset;
    if (filter) {
      if (event.target.value === "*") delete chosen[filter];
      else chosen[filter] = event.target.value.slice(1);
    }
    search();
  });
  form.addEventListener("click", (event) => {
    if (event.target.id !== "clear") return;
    for (const name of FILTERS) delete chosen[name];
    byId("search").value = "";
    filters();
    search();
    byId("search").focus();
  });
  byId("rows").addEventListener("click", (event) => {
    const { by, number } = event.target.dataset;
    if (by) {
      sorted = { by, up: sorted.by === by ? !sorted.up : true };
      head();
      search();
      document.querySelector(`[data-by="${by}"]`).focus();
    } else if (number) {
      const one = Number(number);
      if (!opened.delete(one)) opened.add(one);
      draw();
      document.querySelector(`[data-number="${one}"]`).focus();
    }
  });
  const turn = (by) => {
    first += by;
    opened = new Set();
    draw();
    byId("count").scrollIntoView({ block: "nearest" });
  };
  byId("previous").addEventListener("click", () => turn(-PAGE));
  byId("next").addEventListener("click", () => turn(PAGE));

  document.querySelector(".tool").hidden = false;
  speak(preferred());
  if (location.hash.length > 1) {
    const target = byId(decodeURIComponent(location.hash.slice(1)));
    if (target) target.scrollIntoView();
  }
})();
