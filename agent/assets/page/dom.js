// Makes elements. Text is only ever text: there is no way from here to markup.

// Longest name that is shown in one piece.
const LONGEST = 240;
// Characters that move a cursor, hide, or turn the direction of writing.
const DECEPTIVE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]/gu;

const ALLOWED = /^(class|id|for|href|type|value|title|role|scope|tabindex|rel|colspan|placeholder|spellcheck|autocomplete|aria-[a-z]+|data-[a-z]+)$/;

// What a watched program calls itself, made harmless: control characters are spelled out, and of
// a long one the middle is left out.
export function clean(text, longest = LONGEST) {
  let short = String(text ?? "");
  if (short.length > longest) {
    const head = Math.floor((longest - 1) / 2);
    short = `${short.slice(0, head)}…${short.slice(short.length - (longest - 1 - head))}`;
  }
  return short.replace(DECEPTIVE, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
}

// An element with these attributes and children; strings become text.
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) {
        element.addEventListener(event, listener);
      }
    } else if (name === "hidden" || name === "checked" || name === "disabled") {
      element[name] = value;
    } else if (ALLOWED.test(name)) {
      if (value !== undefined && value !== null) element.setAttribute(name, value);
    } else {
      throw new Error(`no attribute for this page: ${name}`);
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

// Sets text where it has changed, so that selections and screen readers are left in peace.
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// A name of a watched program: whatever direction it is written in, it ends here.
export function name(text, longest) {
  return h("bdi", { class: "name" }, clean(text, longest));
}

export function button(label, act, attributes = {}) {
  return h("button", { type: "button", ...attributes, on: { click: act } }, label);
}

let ids = 0;

// A labelled field to filter by.
export function filter(label, changed, initial = "") {
  ids += 1;
  const id = `filter-${ids}`;
  const field = h("input", { id, type: "search", spellcheck: "false", autocomplete: "off" });
  field.value = initial;
  field.addEventListener("input", () => changed(field.value));
  return { node: h("p", { class: "field" }, h("label", { for: id }, label), field), field };
}

export function checkbox(label, changed) {
  ids += 1;
  const id = `check-${ids}`;
  const box = h("input", { id, type: "checkbox" });
  box.addEventListener("change", () => changed(box.checked));
  return h("p", { class: "field" }, box, h("label", { for: id }, label));
}

export function choice(label, changed) {
  ids += 1;
  const id = `choice-${ids}`;
  const select = h("select", { id });
  select.addEventListener("change", () => changed(select.value));
  return { node: h("p", { class: "field" }, h("label", { for: id }, label), select), select };
}

// Tells a screen reader, in passing.
export function announce(text) {
  const news = document.getElementById("news");
  if (news) put(news, text);
}
