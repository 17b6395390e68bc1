/** Return the element with this id. */
export const at = (id) => document.getElementById(id);

/** Return a new element with properties. */
export const make = (tag, properties) => Object.assign(document.createElement(tag), properties);

const DIARY_LINES_MAX = 60;

/** Write a line into the diary, the newest first. */
export function note(text) {
  at("diary").prepend(make("li", { textContent: `${new Date().toLocaleTimeString("en-GB")}  ${text}` }));
  while (at("diary").children.length > DIARY_LINES_MAX) at("diary").lastChild.remove();
}
