// What a timer is called where people read it.

const MADE = /^(.*?)(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|page-[0-9a-f]{20})$/;
const SHOWN_DIGITS = 4;

/** Its label, or else its id. One that a program has made up is shortened: nobody reads it, and its end tells it apart. */
export function nameOf({ label, id }) {
  if (label) return label;
  const made = MADE.exec(id);
  return made === null ? id : `${made[1]}timer …${id.slice(-SHOWN_DIGITS)}`;
}
