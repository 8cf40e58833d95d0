// What a person has chosen on this machine: sound, keys, theme.

/** A choice as it was left, or what it is by default where the browser keeps nothing. */
export function chosen(name, otherwise) {
  try {
    return localStorage.getItem(name) ?? otherwise;
  } catch {
    return otherwise;
  }
}

export function choose(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // it holds until the page is left
  }
}
