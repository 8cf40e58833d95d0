// Makes elements. Data only ever becomes text or attributes, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element of HTML. Attributes that are functions listen to the event of their name; false and null are left out. */
export function h(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

/** An element of SVG. */
export function s(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

/** A drawing of 24 by 24 for a button. */
export function icon(name) {
  return s("svg", { viewBox: "0 0 24 24", class: "drawing", "aria-hidden": "true" }, s("path", { d: PATHS[name] }));
}

/** Sets the text of an element where it is another, as each change costs a layout. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A part of the address as it was before it was encoded; as it stands where nobody could have encoded it so. */
export function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const PATHS = {
  pause: "M6.5 5h3.5v14H6.5zM14 5h3.5v14H14z",
  play: "M8 5l11 7-11 7z",
  restart: "M4 12a8 8 0 1 0 2.5-5.8M4 4v4.5h4.5",
  cancel: "M6 6l12 12M18 6L6 18",
  stage: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
  sound: "M4 10v4h3.5L12 18V6L7.5 10zM16 9a4.2 4.2 0 0 1 0 6M18.5 6.5a8 8 0 0 1 0 11",
  muted: "M4 10v4h3.5L12 18V6L7.5 10zM16.5 10l4 4M20.5 10l-4 4",
  bell: "M6 16V11a6 6 0 0 1 12 0v5l1.5 2h-15zM10 21h4",
  moon: "M20 14.5A8 8 0 1 1 9.5 4a6.5 6.5 0 0 0 10.5 10.5z",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2.5M12 19.5V22M2 12h2.5M19.5 12H22M5 5l1.7 1.7M17.3 17.3L19 19M19 5l-1.7 1.7M6.7 17.3L5 19",
  keys: "M3 7h18v11H3zM7 11h.01M11 11h.01M15 11h.01M8 14.5h8",
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5L20 20",
};
