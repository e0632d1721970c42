// Rates over time: what comes in stacked above the line, what goes out below it. SVG, redrawn as a whole: 600 points
// are three paths.

import {h} from '/page/dom.js';
import {clock, rate} from '/page/format.js';

const SVG = 'http://www.w3.org/2000/svg';
const HEIGHT = 190;
const LEFT = 0;
const BOTTOM = 20;

function svg(tag, attributes = {}, text) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

// The next of 1, 2, 5, 10, 20, 50, ... times a power of 1024.
export function niceCeiling(value) {
  let unit = 1024;
  while (unit * 1024 <= value) unit *= 1024;
  for (const step of [1, 2, 5, 10, 20, 50, 100, 200, 500]) {
    if (value <= unit * step) return unit * step;
  }
  return unit * 1024;
}

export class RatePlot {
  constructor(parent) {
    this.parent = parent;
    this.samples = [];
    this.span = 600_000;
    this.svg = svg('svg', {class: 'rates', role: 'img', height: HEIGHT, width: '100%'});
    this.hint = h('p', {class: 'plot-hint', 'aria-hidden': 'true'});
    parent.append(this.svg, this.hint);
    this.width = 0;
    new ResizeObserver(([entry]) => {
      this.width = Math.floor(entry.contentRect.width);
      this.draw();
    }).observe(parent);
    this.where = null;  // of the pointer, in pixels from the left
    this.svg.addEventListener('pointermove', (event) => {
      this.where = event.clientX - this.svg.getBoundingClientRect().left;
      this.point();
    });
    this.svg.addEventListener('pointerleave', () => {
      this.where = null;
      this.hint.textContent = '';
      this.cursor?.remove();
    });
  }

  show(samples, spanMs, now) {
    this.samples = samples;
    this.span = spanMs;
    this.now = now;
    this.draw();
  }

  draw() {
    if (this.width < 80) return;
    const samples = this.samples;
    const most = samples.reduce((m, s) => Math.max(m, s.origin + s.lan), 0);
    const mostOut = samples.reduce((m, s) => Math.max(m, s.sent), 0);
    const top = niceCeiling(Math.max(most, 64 * 1024));
    const bottom = mostOut > 0 ? niceCeiling(Math.max(mostOut, 64 * 1024)) : 0;
    const room = HEIGHT - BOTTOM - 8;
    // One scale for both directions, so that they can be compared.
    const perPixel = (top + bottom) / room;
    const zero = 8 + top / perPixel;
    const end = this.now ?? Date.now();
    const x = (at) => LEFT + ((at - (end - this.span)) / this.span) * (this.width - LEFT);
    const y = (value) => zero - value / perPixel;
    const parts = [];
    for (const value of [top, top / 2, 0, ...(bottom > 0 ? [-bottom] : [])]) {
      parts.push(svg('line', {class: value === 0 ? 'axis' : 'grid', x1: LEFT, x2: this.width, y1: y(value), y2: y(value)}));
      if (value !== 0) parts.push(svg('text', {class: 'label', x: LEFT, y: y(value) - 4}, rate(Math.abs(value))));
    }
    const narrow = this.width < 420;
    const steps = this.span > 3_600_000 ? (narrow ? [24, 12] : [24, 18, 12, 6]) : narrow ? [10, 5] : [10, 8, 6, 4, 2];
    for (const step of steps) {
      const back = this.span > 3_600_000 ? step * 3_600_000 : step * 60_000;
      const at = x(end - back);
      parts.push(svg('text', {class: 'label', x: Math.max(at, 0), y: HEIGHT - 4, 'text-anchor': at < 10 ? 'start' : 'middle'},
        `−${step} ${this.span > 3_600_000 ? 'h' : 'min'}`));
    }
    parts.push(svg('text', {class: 'label', x: this.width, y: HEIGHT - 4, 'text-anchor': 'end'}, 'now'));
    const seen = samples.filter((s) => s.at >= end - this.span - 2000);
    this.seen = seen;
    this.x = x;
    if (seen.length > 1) {
      const area = (low, high) => `M${seen.map((s) => `${x(s.at).toFixed(1)},${y(high(s)).toFixed(1)}`).join('L')}L${
        [...seen].reverse().map((s) => `${x(s.at).toFixed(1)},${y(low(s)).toFixed(1)}`).join('L')}Z`;
      parts.push(svg('path', {class: 'area origin', d: area(() => 0, (s) => s.origin)}));
      parts.push(svg('path', {class: 'area lan', d: area((s) => s.origin, (s) => s.origin + s.lan)}));
      parts.push(svg('path', {class: 'area sent', d: area(() => 0, (s) => -s.sent)}));
    }
    this.cursor = null;
    this.svg.setAttribute('viewBox', `0 0 ${this.width} ${HEIGHT}`);
    this.svg.replaceChildren(...parts);
    this.point();
    const last = samples.at(-1);
    this.svg.setAttribute('aria-label', last
      ? `Rates over the last ${this.span > 3_600_000 ? '24 hours' : '10 minutes'}. Now ${rate(last.lan)} from neighbours, ` +
        `${rate(last.origin)} from the Hub, ${rate(last.sent)} to neighbours; at most ${rate(most)} came in.`
      : 'Rates: nothing measured yet');
  }

  // What was measured where the pointer is; also when the plot moves under it.
  point() {
    if (this.where === null || !this.seen?.length) return;
    const off = (s) => Math.abs(this.x(s.at) - this.where);
    const nearest = this.seen.reduce((best, s) => (off(s) < off(best) ? s : best));
    this.cursor?.remove();
    this.cursor = svg('line', {class: 'cursor', x1: this.x(nearest.at), x2: this.x(nearest.at), y1: 4, y2: HEIGHT - BOTTOM});
    this.svg.append(this.cursor);
    this.hint.textContent = `${clock(nearest.at)} · ${rate(nearest.lan)} from neighbours · ${rate(nearest.origin)} from the Hub · ${rate(nearest.sent)} to neighbours`;
  }
}
