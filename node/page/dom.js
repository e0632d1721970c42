// The few things this page needs of a framework. Text goes in as text, never as HTML: names come from the Hub and
// from neighbours.

export const $ = (id) => document.getElementById(id);

// An element with properties and children: h('li', {class: 'x', title: 'y'}, 'text', node).
export function h(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// Changes only what differs, so that a screen reader and a selection are not disturbed every second.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

// Children of `parent` follow `items`: made by make(item) once per key, updated by update(node, item).
export function keyed(parent, items, key, make, update) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let node = old.get(name);
    old.delete(name);
    if (!node) {
      node = make(item);
      node.dataset.key = name;
    }
    update(node, item);
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
  }
  for (const node of old.values()) node.remove();
}

// A bar in up to three colours: what came from neighbours, from the Hub, and was here.
export function sourceBar() {
  return h('span', {class: 'bar', 'aria-hidden': 'true'}, h('i', {class: 'lan'}), h('i', {class: 'origin'}), h('i', {class: 'local'}));
}

export function setSourceBar(bar, row) {
  const whole = Math.max(row.size, 1);
  const parts = [row.bytes_lan, row.bytes_origin, row.bytes_local];
  parts.forEach((bytes, i) => {
    bar.children[i].style.width = `${Math.min(100, (bytes / whole) * 100)}%`;
  });
}
