// Who is on the site: this machine first, then the neighbours that are up, then those seen before.

import {$, h, keyed, setAttribute, setText} from '/page/dom.js';
import {ago, count, rate, size} from '/page/format.js';

const GONE_SHOWN = 20;

const PARTS = [['nic_permille', 'network'], ['gpu_permille', 'GPU'], ['io_permille', 'disk'], ['memory_permille', 'memory'], ['cpu_permille', 'processor']];

// The part of the machine with the least room, as the scheduler sees it.
export function loadOf(row) {
  const [worst, name] = PARTS.map(([field, label]) => [row[field], label]).reduce((a, b) => (b[0] > a[0] ? b : a));
  const share = row.busy ? 1000 : worst;
  const word = row.busy ? 'marked busy' : worst < 200 ? 'idle' : `${name} ${Math.round(worst / 10)} %`;
  return {share, word};
}

function makeRow() {
  // Short names for a narrow screen, where each cell says what it is.
  const labels = ['Machine', 'Load', 'Holds', 'From Hub', 'LAN in', 'LAN out', 'Gave us', 'Got from us'];
  const row = h('tr', {}, h('th', {scope: 'row'}, h('span', {class: 'dot', 'aria-hidden': 'true'}), h('span', {class: 'name'}), h('span', {class: 'quiet address'})),
    h('td', {}, h('span', {class: 'meter', 'aria-hidden': 'true'}, h('span')), h('span', {class: 'load-word'})),
    ...Array.from({length: 6}, () => h('td', {class: 'num'})));
  [...row.children].forEach((cell, i) => cell.setAttribute('data-label', labels[i]));
  return row;
}

function updateRow(row, m) {
  const [name, load, ...cells] = row.children;
  setText(name.querySelector('.name'), m.self ? `${m.name} (this machine)` : m.name || m.node.slice(0, 8));
  setText(name.querySelector('.address'), m.endpoint + (m.alive ? '' : `, seen ${ago(m.last_seen)}`) + (m.banned_until ? ', banned' : ''));
  row.classList.toggle('gone', !m.alive);
  const {share, word} = loadOf(m);
  setAttribute(load.querySelector('.meter'), 'class', `meter ${share >= 900 ? 'full' : share >= 500 ? 'half' : ''}`);
  load.querySelector('.meter span').style.width = m.alive ? `${Math.max(share / 10, 2)}%` : '0';
  setText(load.querySelector('.load-word'), m.alive ? word : 'away');
  const values = [
    size(m.bytes_held),
    m.alive ? rate(m.origin_bytes_per_s) : '–', m.alive ? rate(m.download_bytes_per_s) : '–', m.alive ? rate(m.upload_bytes_per_s) : '–',
    m.self ? '' : size(m.bytes_received), m.self ? '' : size(m.bytes_sent),
  ];
  values.forEach((text, i) => setText(cells[i], text));
  setAttribute(cells[0], 'title', count(m.blobs_held, 'file', 'files'));
}

export function renderMachines(self, peers) {
  const order = (a, b) => b.alive - a.alive || (a.alive ? (a.name || '').localeCompare(b.name || '') : b.last_seen.localeCompare(a.last_seen));
  const others = [...peers.values()].sort(order);
  const up = others.filter((p) => p.alive);
  const gone = others.filter((p) => !p.alive).slice(0, GONE_SHOWN);
  const rows = self ? [self, ...up, ...gone] : [...up, ...gone];
  keyed($('machines').tBodies[0], rows, (m) => m.node, makeRow, updateRow);
  const busy = up.filter((p) => loadOf(p).share >= 900).length + (self && loadOf(self).share >= 900 ? 1 : 0);
  setText($('machines-up'), `${up.length + 1}`);
  setText($('machines-more'), up.length === 0 ? 'no neighbour is up' : busy > 0 ? `up, ${busy} without capacity left` : 'up, all with capacity left');
  let got = 0;
  let given = 0;
  for (const p of others) {
    got += p.bytes_received;
    given += p.bytes_sent;
  }
  setText($('saved'), size(got));
  setText($('saved-more'), `came from neighbours; ${size(given)} went to them`);
}
