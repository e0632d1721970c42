// Running pulls as cards with a piece map, ended ones as a list.

import {$, h, keyed, setAttribute, setSourceBar, setText, sourceBar} from '/page/dom.js';
import {get} from '/page/api.js';
import {ago, count, duration, percent, rate, size} from '/page/format.js';
import {PieceMap} from '/page/piece_map.js';

const FILES_SHOWN = 200;  // rows of an opened pull; the rest is counted
const ENDED_SHOWN = 6;
const CARDS_SHOWN = 20;   // each has a canvas that is drawn every second

const cards = new WeakMap();  // element -> {map, open}

function chip(text, kind) {
  return h('span', {class: `chip ${kind ?? ''}`}, text);
}

function makeCard(pull) {
  const canvas = h('canvas', {class: 'map', role: 'img', 'aria-label': 'Piece map'});
  const files = h('div', {class: 'files', id: `files-${pull.id}`, hidden: true});
  const toggle = h('button', {type: 'button', class: 'button plain', 'aria-expanded': 'false', 'aria-controls': `files-${pull.id}`}, 'Files');
  const chips = h('span', {class: 'chips'}, chip(`@${pull.revision}`));
  if (pull.type === 'dataset') chips.append(chip('dataset'));
  if (pull.source !== 'auto') chips.append(chip(`only from ${pull.source === 'lan' ? 'neighbours' : 'the Hub'}`));
  if (pull.priority !== 'normal') chips.append(chip(`${pull.priority} priority`));
  if (pull.include.length > 0 || pull.exclude.length > 0) {
    chips.append(chip([...pull.include, ...pull.exclude.map((glob) => `not ${glob}`)].join(', ')));
  }
  const card = h('article', {class: 'pull', 'aria-label': `Pull of ${pull.repo}`},
    h('div', {class: 'pull-head'},
      h('h3', {class: 'repo'}, pull.repo), chips,
      h('span', {class: 'percent'})),
    sourceBar(),
    h('p', {class: 'facts'}),
    h('p', {class: 'waiting', hidden: true}, h('span', {class: 'waiting-label'}, 'Waits for '), h('span', {class: 'waiting-text'})),
    h('div', {class: 'map-box'}, canvas),
    toggle, files);
  const state = {map: new PieceMap(canvas), open: false};
  cards.set(card, state);
  toggle.addEventListener('click', () => {
    state.open = !state.open;
    toggle.setAttribute('aria-expanded', String(state.open));
    files.hidden = !state.open;
    if (state.open) refreshFiles(card, pull.id);
  });
  return card;
}

function updateCard(card, pull) {
  setText(card.querySelector('.percent'), pull.state === 'resolving' ? 'asking the Hub' : percent(pull.percent));
  const bar = card.querySelector('.bar');
  setSourceBar(bar, pull);
  const facts = [
    pull.size > 0 ? `${size(pull.bytes_done)} of ${size(pull.size)}` : null,
    pull.files > 0 ? `${pull.files_done} of ${count(pull.files, 'file', 'files')}` : null,
    pull.bytes_per_s > 0 ? rate(pull.bytes_per_s) : null,
    pull.eta_s !== null ? `${duration(pull.eta_s)} left` : null,
  ].filter(Boolean);
  setText(card.querySelector('.facts'), facts.join('  ·  '));
  const waiting = card.querySelector('.waiting');
  waiting.hidden = !pull.waiting_for;
  if (pull.waiting_for) {
    setText(waiting.querySelector('.waiting-label'), pull.bytes_per_s > 0 ? 'Limited by ' : 'Waits for ');
    setText(waiting.querySelector('.waiting-text'), pull.waiting_for);
  }
  card.classList.toggle('standing', pull.state === 'running' && pull.bytes_per_s === 0);
  setText(card.querySelector('.button'), card.querySelector('.files').hidden ? `Show ${count(pull.files, 'file', 'files')}` : 'Hide files');
  setAttribute(card.querySelector('.button'), 'aria-label', `${card.querySelector('.files').hidden ? 'Show' : 'Hide'} files of ${pull.repo}`);
}

async function refreshMap(card, id) {
  const pieces = await get(`pulls/${id}/pieces`);
  cards.get(card)?.map.show(pieces.files);
}

const STATES = {queued: 'waiting', fetching: 'fetching', checking: 'checking', held: 'here', failed: 'failed'};

async function refreshFiles(card, id) {
  const detail = await get(`pulls/${id}?limit=${FILES_SHOWN}`);
  const box = card.querySelector('.files');
  if (!box.firstChild) {
    box.append(h('table', {class: 'file-table'},
      h('thead', {}, h('tr', {}, h('th', {scope: 'col'}, 'File'), h('th', {scope: 'col'}, 'Progress'), h('th', {scope: 'col', class: 'num'}, 'Size'), h('th', {scope: 'col', class: 'num'}, 'Rate'), h('th', {scope: 'col'}, 'State'))),
      h('tbody')), h('p', {class: 'quiet'}));
  }
  keyed(box.querySelector('tbody'), detail.status, (file) => file.path,
    () => h('tr', {}, h('td', {class: 'path'}), h('td', {}, sourceBar()), h('td', {class: 'num'}), h('td', {class: 'num'}), h('td', {class: 'state'})),
    (row, file) => {
      setText(row.children[0], file.path);
      setSourceBar(row.children[1].firstChild, file);
      setAttribute(row.children[1], 'aria-label', percent(file.percent));
      setText(row.children[2], size(file.size));
      setText(row.children[3], rate(file.bytes_per_s));
      setText(row.children[4], file.error || (file.waiting_for ? `${STATES[file.state]}: ${file.waiting_for}` : STATES[file.state]));
    });
  setText(box.querySelector('p'), detail.truncated ? `The first ${FILES_SHOWN} of ${detail.files} files. shoal status ${detail.repo} shows all.` : '');
}

function makeEnded() {
  return h('li', {}, h('span', {class: 'outcome'}), h('span', {class: 'repo'}), h('span', {class: 'ended-facts'}), h('time', {class: 'quiet'}));
}

function sources(row) {
  const parts = [[row.bytes_lan, 'from neighbours'], [row.bytes_origin, 'from the Hub'], [row.bytes_local, 'was here']];
  return parts.filter(([bytes]) => bytes > 0).map(([bytes, words]) => `${size(bytes)} ${words}`).join(', ');
}

function updateEnded(row, pull) {
  const [outcome, repo, facts, time] = row.children;
  setText(outcome, pull.state);
  setAttribute(outcome, 'class', `outcome ${pull.state}`);
  setText(repo, `${pull.repo}@${pull.revision}`);
  setText(facts, pull.state === 'failed' ? pull.error ?? '' :
    sources(pull));
  setText(time, pull.finished_at ? ago(pull.finished_at) : '');
}

export function renderPulls(pulls) {
  const all = [...pulls.values()];
  const running = all.filter((p) => p.state === 'running' || p.state === 'resolving').sort((a, b) => a.id - b.id);
  const ended = all.filter((p) => p.finished_at).sort((a, b) => b.finished_at.localeCompare(a.finished_at)).slice(0, ENDED_SHOWN);
  keyed($('pulls'), running.slice(0, CARDS_SHOWN), (p) => p.id, makeCard, updateCard);
  $('pulls-empty').hidden = running.length > 0;
  $('pulls-legend').hidden = running.length === 0;
  setText($('pulls-title'), running.length > CARDS_SHOWN ? `Pulls: the first ${CARDS_SHOWN} of ${running.length}` : 'Pulls');
  $('ended-box').hidden = ended.length === 0;
  keyed($('ended'), ended, (p) => p.id, makeEnded, updateEnded);
}

// Maps and opened files of the cards that are on the screen.
export async function refreshDetails() {
  const visible = [...$('pulls').children].filter((card) => {
    const box = card.getBoundingClientRect();
    return box.bottom > -200 && box.top < innerHeight + 200;
  });
  await Promise.allSettled(visible.flatMap((card) => {
    const id = Number(card.dataset.key);
    return cards.get(card)?.open ? [refreshMap(card, id), refreshFiles(card, id)] : [refreshMap(card, id)];
  }));
}

export function redrawMaps() {
  for (const card of $('pulls').children) cards.get(card)?.map.draw();
}
