// All repos, virtualised: only the rows on the screen are in the document, so 300 repos with 10,000 files cost what
// 30 rows cost. An opened repo's files are rows of the same list.

import {$, h, setSourceBar, setText, sourceBar} from '/page/dom.js';
import {get} from '/page/api.js';
import {count, percent, size} from '/page/format.js';

const ROW = 40;        // CSS pixels; style.css says the same
const SPARE = 8;       // rows above and below the screen
const FILES_MAX = 20_000;

let repos = [];
let filter = '';
const opened = new Map();  // key -> files, null while they come

const keyOf = (r) => `${r.type}/${r.repo}@${r.revision ?? r.commit_id}`;

function rows() {
  const out = [];
  for (const repo of repos) {
    if (filter && !repo.repo.toLowerCase().includes(filter)) continue;
    const key = keyOf(repo);
    out.push({repo, key});
    if (!opened.has(key)) continue;
    const files = opened.get(key);
    if (files === null) out.push({note: 'Loading the files', key: `${key}/…`});
    else for (const file of files) out.push({file, key: `${key}/${file.path}`});
  }
  return out;
}

function repoState(r) {
  if (r.files_failed > 0) return 'failed';
  if (r.files_held === r.files) return 'here';
  return percent(r.percent);
}

function repoRow({repo, key}) {
  const isOpen = opened.has(key);
  const button = h('button', {type: 'button', class: 'disclose', 'aria-expanded': String(isOpen), onclick: () => toggle(repo, key)},
    h('span', {class: 'arrow', 'aria-hidden': 'true'}), repo.repo);
  const bar = sourceBar();
  setSourceBar(bar, repo);
  const state = repoState(repo);
  return h('tr', {class: 'repo-row', 'data-key': key},
    h('th', {scope: 'row'}, button, h('span', {class: 'chip'}, `@${repo.revision ?? repo.commit_id?.slice(0, 8) ?? ''}`),
      repo.type === 'dataset' ? h('span', {class: 'chip'}, 'dataset') : null),
    h('td', {class: 'num'}, repo.files_held === repo.files ? repo.files.toLocaleString() : `${repo.files_held} of ${repo.files}`),
    h('td', {class: 'num'}, size(repo.size)),
    h('td', {'aria-label': `${size(repo.bytes_lan)} from neighbours, ${size(repo.bytes_origin)} from the Hub, ${size(repo.bytes_local)} was here`}, bar),
    h('td', {class: `state ${state}`}, state));
}

function fileRow({file, key}) {
  const bar = sourceBar();
  setSourceBar(bar, file);
  return h('tr', {class: 'file-row', 'data-key': key},
    h('th', {scope: 'row', class: 'path', title: file.blob_id}, file.path), h('td'), h('td', {class: 'num'}, size(file.size)), h('td', {}, bar),
    h('td', {class: 'state', title: file.error ?? file.waiting_for ?? ''}, file.state === 'held' ? 'here' : file.error || file.waiting_for || file.state));
}

function noteRow({note, key}) {
  return h('tr', {class: 'file-row', 'data-key': key}, h('td', {class: 'quiet'}, note));
}

const spacer = (height) => {
  // One cell: it would otherwise bring back columns that a narrow screen leaves out.
  const row = h('tr', {'aria-hidden': 'true', class: 'spacer'}, h('td'));
  row.firstChild.style.height = `${height}px`;
  return row;
};

let drawn = '';

function draw(force = false) {
  const box = $('models-scroll');
  const all = rows();
  const first = Math.max(0, Math.floor(box.scrollTop / ROW) - SPARE);
  const last = Math.min(all.length, first + Math.ceil(box.clientHeight / ROW) + 2 * SPARE);
  const what = `${first}-${last}-${all.length}`;
  if (!force && what === drawn) return;
  drawn = what;
  const focused = document.activeElement?.closest?.('#models tr')?.dataset.key;
  const body = $('models').tBodies[0];
  const visible = all.slice(first, last).map((row, i) => {
    const node = row.repo ? repoRow(row) : row.file ? fileRow(row) : noteRow(row);
    node.setAttribute('aria-rowindex', first + i + 2);
    return node;
  });
  body.replaceChildren(spacer(first * ROW), ...visible, spacer((all.length - last) * ROW));
  $('models').setAttribute('aria-rowcount', all.length + 1);
  if (focused) visible.find((row) => row.dataset.key === focused)?.querySelector('button')?.focus({preventScroll: true});
  const shown = filter ? repos.filter((r) => r.repo.toLowerCase().includes(filter)).length : repos.length;
  const files = repos.reduce((sum, r) => sum + r.files, 0);
  setText($('models-count'), filter ? `${shown} of ${count(repos.length, 'repo', 'repos')}` : `${count(repos.length, 'repo', 'repos')}, ${count(files, 'file', 'files')}`);
  $('models-empty').hidden = repos.length > 0;
  $('models-scroll').hidden = repos.length === 0;
}

async function load(repo, key) {
  const answer = await get(`status?repo=${encodeURIComponent(repo.repo)}&type=${repo.type}&limit=${FILES_MAX}`);
  if (!opened.has(key)) return;
  opened.set(key, answer.status.filter((f) => f.revision === (repo.revision ?? '') && f.commit_id === repo.commit_id));
  draw(true);
}

function toggle(repo, key) {
  if (opened.has(key)) {
    opened.delete(key);
  } else {
    opened.set(key, null);
    load(repo, key).catch((error) => {
      opened.delete(key);
      setText($('models-count'), error.message);
    });
  }
  draw(true);
}

export async function refreshModels() {
  const before = new Map(repos.map((repo) => [keyOf(repo), repo.updated_at]));
  repos = (await get('repos')).repos;
  draw(true);
  for (const repo of repos) {
    const key = keyOf(repo);
    if (opened.get(key) && repo.updated_at !== before.get(key)) load(repo, key).catch(() => {});
  }
}

export function startModels() {
  let asked = false;
  $('models-scroll').addEventListener('scroll', () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  }, {passive: true});
  $('models-search').addEventListener('input', (event) => {
    filter = event.target.value.trim().toLowerCase();
    $('models-scroll').scrollTop = 0;
    draw(true);
  });
  new ResizeObserver(() => draw()).observe($('models-scroll'));
}

export function totalFiles() {
  return {repos: new Set(repos.map((r) => `${r.type}/${r.repo}`)).size};
}
