// What happened, newest first.

import {$, h, keyed, setText} from '/page/dom.js';
import {clock} from '/page/format.js';

const KEPT = 200;
const SHOWN = 40;

let rows = [];
let troubleOnly = false;
let next = 0;

function make(row) {
  return h('li', {class: row.level},
    h('time', {datetime: row.at, title: row.at}, clock(row.at)),
    h('span', {class: 'kind'}, row.kind.replaceAll('_', ' ')),
    h('span', {class: 'text'}, [row.repo, row.path].filter(Boolean).join('/'), row.repo || row.path ? ': ' : '', row.text));
}

export function renderEvents() {
  const shown = rows.filter((row) => !troubleOnly || row.level !== 'info').slice(0, SHOWN);
  keyed($('events'), shown, (row) => row.key, make, () => {});
  $('events-empty').hidden = shown.length > 0;
  setText($('events-empty'), troubleOnly ? 'No warning and no error.' : 'None.');
}

export function addEvent(row) {
  rows.unshift({...row, key: next++});
  rows.length = Math.min(rows.length, KEPT);
}

export function setEvents(list) {
  rows = list.map((row) => ({...row, key: next++})).reverse().slice(0, KEPT);
}

export function startEvents() {
  const choose = (trouble) => {
    troubleOnly = trouble;
    $('events-all').setAttribute('aria-pressed', String(!trouble));
    $('events-trouble').setAttribute('aria-pressed', String(trouble));
    renderEvents();
  };
  $('events-all').addEventListener('click', () => choose(false));
  $('events-trouble').addEventListener('click', () => choose(true));
}
