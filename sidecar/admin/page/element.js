// The elements of the page. Whatever comes from outside is set as text.

export const at = (id) => document.getElementById(id);
export const root = document.documentElement;

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
