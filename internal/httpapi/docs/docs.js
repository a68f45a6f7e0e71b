"use strict";
// Shows the OpenAPI document of this server, and lets the reader try it. Everything that comes from
// the document or from an answer is put into the page as text, never as markup.

let api = null;

// shownHeaders are the headers that are shown above a response.
const shownHeaders = [
  "X-Request-Id", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Retry-After", "Location",
  "Idempotent-Replayed",
];

function el(name, attributes, ...children) {
  const e = document.createElement(name);
  for (const [k, v] of Object.entries(attributes || {})) {
    if (k.startsWith("on")) e.addEventListener(k.slice(2), v);
    else if (v !== undefined && v !== null && v !== false) e.setAttribute(k, v === true ? "" : v);
  }
  for (const c of children.flat()) if (c !== null && c !== undefined) e.append(c);
  return e;
}

// prose understands the few marks that our own texts use: `code`, ## headings, tables, paragraphs.
function prose(text) {
  const out = [];
  for (const block of (text || "").split(/\n\n+/)) {
    const lines = block.split("\n").filter((l) => l !== "");
    if (lines.length === 0) continue;
    if (lines[0].startsWith("## ")) {
      out.push(el("h2", {}, lines[0].slice(3)));
    } else if (lines[0].startsWith("|")) {
      const rows = lines
        .filter((l) => !/^\|[\s|-]+\|$/.test(l))
        .map((l) => l.slice(1, -1).split("|").map((c) => c.trim()));
      const row = (r, i) => el("tr", {}, r.map((c) => el(i === 0 ? "th" : "td", {}, marked(c))));
      out.push(el("table", {}, rows.map(row)));
    } else {
      out.push(el("p", {}, marked(lines.join(" "))));
    }
  }
  return out;
}

function marked(text) {
  return text.split("`").map((part, i) => (i % 2 ? el("code", {}, part) : part));
}

function resolve(node) {
  while (node && node.$ref) node = node.$ref.slice(2).split("/").reduce((at, key) => at[key], api);
  return node || {};
}

function typeOf(schema) {
  const s = resolve(schema);
  const name = schema && schema.$ref ? schema.$ref.split("/").pop() : null;
  const types = [].concat(s.type || "any");
  let text = name && types[0] === "object" ? name : types[0];
  if (types[0] === "array") text = "list of " + typeOf(s.items);
  if (s.format && types[0] !== "object") text += " (" + s.format + ")";
  return text + (types.includes("null") ? " or null" : "");
}

function limits(s) {
  const t = resolve(s), inner = t.items ? resolve(t.items) : {};
  const out = [];
  for (const e of [t, inner]) if (e.enum) out.push(e.enum.join(", "));
  if (t.minimum !== undefined && t.maximum !== undefined) out.push(t.minimum + " to " + t.maximum);
  else if (t.minimum !== undefined) out.push("at least " + t.minimum);
  else if (t.maximum !== undefined) out.push("at most " + t.maximum);
  if (t.maxLength !== undefined) out.push("at most " + t.maxLength + " characters");
  if (t.maxItems !== undefined) out.push("at most " + t.maxItems + " entries");
  return out.join("; ");
}

function fields(schema, depth) {
  const s = resolve(schema);
  if (s.items) return fields(s.items, depth);
  if (!s.properties) return el("p", { class: "dim" }, typeOf(schema));
  const required = s.required || [];
  const requiredFirst = ([a], [b]) => required.includes(b) - required.includes(a);
  const rows = Object.entries(s.properties).sort(requiredFirst).map(([name, p]) => {
    const inner = resolve(p).items || p;
    const deep = depth < 4 && resolve(inner).properties
      ? el("details", {}, el("summary", { class: "dim" }, "fields"), fields(inner, depth + 1))
      : null;
    const text = marked(resolve(p).description || p.description || "");
    const optional = required.includes(name) ? "" : el("span", { class: "dim" }, " optional");
    return el("tr", {}, el("td", {}, el("code", {}, name), optional), el("td", {}, typeOf(p)),
      el("td", {}, text, el("div", { class: "dim" }, limits(p)), deep));
  });
  return el("table", {}, el("tr", {}, ["field", "type", ""].map((h) => el("th", {}, h))), rows);
}

function example(schema) {
  const s = resolve(schema);
  if (s.examples && s.examples.length) return s.examples[0];
  if (s.enum) return s.enum[0];
  switch ([].concat(s.type)[0]) {
    case "object": {
      const out = {};
      for (const name of Object.keys(s.properties || {})) {
        const p = resolve(s.properties[name]);
        if ((s.required || []).includes(name) || p.examples) out[name] = example(s.properties[name]);
      }
      return out;
    }
    case "array": return [];
    case "integer": case "number": return s.minimum ?? 0;
    case "boolean": return false;
    default: return "";
  }
}

function quoted(text) {
  return "'" + text.replaceAll("'", "'\\''") + "'";
}

function tryForm(path, method, op) {
  const inputs = (op.parameters || []).map((p) => {
    const parameter = resolve(p), known = resolve(parameter.schema).enum;
    const id = op.operationId + "-" + parameter.name;
    const input = known
      ? el("select", { id }, el("option", { value: "" }, ""), known.map((v) => el("option", {}, v)))
      : el("input", { id, spellcheck: "false", autocomplete: "off", required: parameter.in === "path" });
    return { parameter, input, row: el("div", { class: "form-row" }, el("label", { for: id }, parameter.name), input) };
  });
  const schema = op.requestBody && op.requestBody.content["application/json"].schema;
  const body = schema ? el("textarea", { id: op.operationId + "-body", spellcheck: "false" }) : null;
  if (body) body.value = JSON.stringify(example(schema), null, 2);
  const result = el("div", { "aria-live": "polite" });

  async function send(event) {
    event.preventDefault();
    let url = path;
    const query = new URLSearchParams(), headers = {};
    for (const { parameter, input } of inputs) {
      const value = input.value.trim();
      if (parameter.in === "path") url = url.replace("{" + parameter.name + "}", encodeURIComponent(value));
      else if (value === "") continue;
      else if (parameter.in === "query") query.set(parameter.name, value);
      else headers[parameter.name] = value;
    }
    if ([...query].length) url += "?" + query;
    const key = document.getElementById("key").value.trim();
    if (key && (op.security || []).some((s) => "bearer" in s)) headers.Authorization = "Bearer " + key;
    if (body) headers["Content-Type"] = "application/json";
    // The key itself stays out of what may be copied into a chat: the shell takes it from its
    // environment.
    const keyFlag = '-H "Authorization: Bearer $BILLET_API_KEY"';
    const flags = Object.entries(headers)
      .map(([k, v]) => (k === "Authorization" ? keyFlag : "-H " + quoted(k + ": " + v)));
    if (body) flags.push("-d " + quoted(body.value));
    const curl = ["curl -i -X " + method + " " + quoted(location.origin + url), ...flags].join(" \\\n  ");
    result.replaceChildren(el("p", { class: "dim" }, "Sending…"));
    try {
      const started = performance.now();
      const answer = await fetch(url, { method, headers, body: body ? body.value : undefined, redirect: "error" });
      let text = await answer.text();
      if ((answer.headers.get("Content-Type") || "").startsWith("application/json")) {
        text = JSON.stringify(JSON.parse(text), null, 2);
      }
      const shown = shownHeaders.filter((h) => answer.headers.get(h) !== null)
        .map((h) => h + ": " + answer.headers.get(h));
      const took = Math.round(performance.now() - started);
      const status = answer.status + " " + answer.statusText + " in " + took + " ms";
      result.replaceChildren(el("p", { class: answer.ok ? "good" : "bad" }, status),
        el("pre", {}, shown.join("\n")), el("pre", {}, text),
        el("p", { class: "dim" }, "The same in a shell:"), el("pre", {}, curl));
    } catch (problem) {
      result.replaceChildren(el("p", { class: "bad" }, "No answer: " + problem.message), el("pre", {}, curl));
    }
  }

  return el("form", { onsubmit: send, autocomplete: "off" }, el("h3", {}, "Try it"), inputs.map((i) => i.row),
    body ? [el("label", { for: body.id }, "Body"), body] : null,
    el("p", {}, el("button", { type: "submit" }, "Send")), result);
}

// parameterRow is a parameter in the table of an operation.
function parameterRow(p) {
  return el("tr", {}, el("td", {}, el("code", {}, p.name), el("span", { class: "dim" }, " in " + p.in)),
    el("td", {}, typeOf(p.schema)),
    el("td", {}, marked(p.description || ""), el("div", { class: "dim" }, limits(p.schema))));
}

// statusDetails is what opens below a status.
function statusDetails(status, kind, ...content) {
  return el("details", {}, el("summary", {}, el("strong", { class: kind }, status)), ...content);
}

function operation(path, method, op) {
  const id = "op-" + op.operationId;
  const inside = el("div", { class: "inside" });
  const summary = el("summary", {}, el("span", { class: "method" }, method), el("span", { class: "path" }, path),
    el("span", { class: "dim" }, op.summary));
  const box = el("details", { class: "op", id }, summary, inside);
  box.addEventListener("toggle", () => {
    if (!box.open || inside.hasChildNodes()) return;
    const parameters = (op.parameters || []).map(resolve);
    inside.append(...prose(op.description));
    if (parameters.length) {
      inside.append(el("h3", {}, "Parameters"), el("table", {}, parameters.map(parameterRow)));
    }
    if (op.requestBody) {
      inside.append(el("h3", {}, "Body"), fields(op.requestBody.content["application/json"].schema, 0));
    }
    inside.append(el("h3", {}, "Answers"));
    for (const [status, r] of Object.entries(op.responses)) {
      const answer = resolve(r), json = answer.content && answer.content["application/json"];
      if (status === "4XX" || status === "5XX") continue; // their codes say it better
      inside.append(statusDetails(status, "good", prose(answer.description),
        json ? fields(resolve(json.schema).properties.data || json.schema, 0) : null));
    }
    for (const [status, codes] of Object.entries(op["x-codes"] || {})) {
      inside.append(statusDetails(status, "bad", el("p", {}, codes.join(", "))));
    }
    inside.append(tryForm(path, method, op));
  });
  return box;
}

async function start() {
  const state = document.getElementById("state");
  try {
    const answer = await fetch("/openapi.json");
    if (!answer.ok) throw new Error("status " + answer.status);
    api = await answer.json();
  } catch (problem) {
    state.textContent = "The document could not be loaded: " + problem.message;
    return;
  }
  document.title = api.info.title;
  document.getElementById("title").textContent = api.info.title + " " + api.info.version;
  const main = document.getElementById("main"), nav = document.getElementById("nav"), links = [];
  main.replaceChildren(...prose(api.info.description));
  for (const tag of api.tags) {
    main.append(el("h2", {}, tag.name), el("p", { class: "dim" }, tag.description));
    nav.append(el("strong", {}, tag.name));
    for (const [path, item] of Object.entries(api.paths)) {
      for (const [method, op] of Object.entries(item)) {
        if (!op.tags || !op.tags.includes(tag.name)) continue;
        const box = operation(path, method.toUpperCase(), op);
        main.append(box);
        const link = el("a", { href: "#" + box.id, onclick: () => { box.open = true; } }, op.summary);
        links.push([link, (op.summary + " " + method + " " + path).toLowerCase()]);
        nav.append(link);
      }
    }
  }
  document.getElementById("find").addEventListener("input", (event) => {
    for (const [link, text] of links) link.hidden = !text.includes(event.target.value.toLowerCase());
  });
  document.getElementById("key-form").addEventListener("submit", (event) => event.preventDefault());
  const wanted = location.hash && document.getElementById(location.hash.slice(1));
  if (wanted) {
    wanted.open = true;
    wanted.scrollIntoView();
  }
}

start();
