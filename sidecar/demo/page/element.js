/** The element with this id. */
export const at = (id) => document.getElementById(id);

/** A new element with properties. */
export const make = (tag, properties) => Object.assign(document.createElement(tag), properties);

const DIARY_LINES_MAX = 60;

/** Writes a line into the diary, the newest first. */
export function note(text) {
  at("diary").prepend(make("li", { textContent: `${new Date().toLocaleTimeString("en-GB")}  ${text}` }));
  while (at("diary").children.length > DIARY_LINES_MAX) at("diary").lastChild.remove();
}
