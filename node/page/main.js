// The page: what the node says, drawn as it comes. One stream brings what changes every second, another one events;
// lists are asked for at the start, when the connection comes back, and when what the streams say changed them.

import {$, setAttribute, setText} from '/page/dom.js';
import {get, NeedsToken, setToken} from '/page/api.js';
import {count, duration, rate, size} from '/page/format.js';
import {follow} from '/page/live.js';
import {RatePlot} from '/page/charts.js';
import {redrawMaps, refreshDetails, renderPulls} from '/page/pulls.js';
import {renderMachines} from '/page/machines.js';
import {refreshModels, startModels, totalFiles} from '/page/models.js';
import {addEvent, renderEvents, setEvents, startEvents} from '/page/events.js';

const SECONDS_SPAN = 600_000;
const MINUTES_SPAN = 86_400_000;
const REPOS_PAUSE_MS = 2000;  // between two questions for the repos: a pull of 10,000 small files would ask 10,000 times
const RETRY_MS = 3000;
// Events after which the list of repos looks different.
const REPO_EVENTS = new Set(['file_held', 'pull_done', 'pull_started', 'pull_failed', 'pull_cancelled', 'removed', 'seeded', 'verify_failed']);

const state = {
  node: null, progress: null, pulls: new Map(), peers: new Map(), seconds: [], minutes: [], span: SECONDS_SPAN,
  detailsUnderWay: false, heldSeen: '', listsStale: false, eventsFollowed: false,
};
let plot;

// Theme

const THEMES = ['auto', 'light', 'dark'];

function setTheme(theme) {
  localStorage.setItem('shoal-theme', theme);
  if (theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  setText($('theme-name'), theme);
  setAttribute($('theme'), 'aria-label', `Theme: ${theme}`);
  redrawMaps();
}

function startTheme() {
  let theme = localStorage.getItem('shoal-theme') ?? 'auto';
  setTheme(theme);
  $('theme').addEventListener('click', () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    setTheme(theme);
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redrawMaps);
}

// Drawing

function sample(row) {
  return {at: Date.parse(row.at), origin: row.origin_bytes_per_s, lan: row.download_bytes_per_s, sent: row.upload_bytes_per_s};
}

function renderTop() {
  const {node, progress} = state;
  if (!node) return;
  document.title = `${node.name} – shoal`;
  setText($('node-name'), node.name);
  setText($('node-facts'), `shoal ${node.version}, cluster ${node.cluster}, up for ${duration((Date.now() - Date.parse(node.started_at)) / 1000)}`);
  setText($('foot'), `Models lie in ${node.cache_dir}. The Hub is ${node.hub}${node.has_token ? ', asked with a token' : ''}.`);
  const held = progress?.bytes_held ?? 0;
  setText($('held'), size(held));
  setText($('held-more'), `${count(progress?.blobs_held ?? 0, 'file', 'files')} of ${count(totalFiles().repos, 'repo', 'repos')}`);
  const whole = progress?.disk_size || node.disk_size;
  const free = progress?.disk_size ? progress.disk_free : node.disk_free;
  setText($('disk'), `${size(free)} free`);
  setText($('disk-more'), `of ${size(whole)}; ${size(node.free_space_floor)} are left alone`);
  const used = whole > 0 ? 1 - free / whole : 0;
  $('disk-meter').firstElementChild.style.width = `${(used * 100).toFixed(1)}%`;
  setAttribute($('disk-meter'), 'class', `meter ${free < node.free_space_floor ? 'full' : free < 10 * node.free_space_floor ? 'half' : ''}`);
  setAttribute($('disk-meter'), 'aria-label', `${Math.round(used * 100)} % of the disk is used`);
}

function renderRates() {
  const load = state.progress?.load;
  if (load) {
    setText($('rate-lan'), rate(load.download_bytes_per_s));
    setText($('rate-origin'), rate(load.origin_bytes_per_s));
    setText($('rate-sent'), rate(load.upload_bytes_per_s));
  }
  const now = state.progress ? Date.parse(state.progress.at) : Date.now();
  plot.show(state.span === SECONDS_SPAN ? state.seconds : state.minutes, state.span, now);
}

let asked = false;
function render() {
  if (asked || document.hidden) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    renderTop();
    renderPulls(state.pulls);
    renderRates();
    const self = state.node && state.progress
      ? {...state.progress.load, self: true, alive: true, node: state.node.node, name: state.node.name, endpoint: state.node.swarm,
        bytes_held: state.progress.bytes_held, blobs_held: state.progress.blobs_held, bytes_received: 0, bytes_sent: 0} : null;
    renderMachines(self, state.peers);
    renderEvents();
  });
}

async function details() {
  if (state.detailsUnderWay || document.hidden) return;
  state.detailsUnderWay = true;
  try {
    await refreshDetails();
  } finally {
    state.detailsUnderWay = false;
  }
}

// News

function onProgress(progress) {
  state.progress = progress;
  for (const pull of progress.pulls) state.pulls.set(pull.id, pull);
  // A running pull that is not mentioned ended while nobody listened.
  const told = new Set(progress.pulls.map((p) => p.id));
  for (const pull of state.pulls.values()) {
    if (!pull.finished_at && !told.has(pull.id)) {
      state.pulls.delete(pull.id);
      loadPulls().catch(() => {});
    }
  }
  const up = new Set(progress.peers.map((p) => p.node));
  for (const peer of state.peers.values()) peer.alive = up.has(peer.node);
  for (const peer of progress.peers) state.peers.set(peer.node, peer);
  const next = sample({at: progress.at, ...progress.load});
  if (!state.seconds.length || next.at > state.seconds.at(-1).at) state.seconds.push(next);
  if (state.seconds.length > 660) state.seconds.splice(0, state.seconds.length - 620);
  // What this says is in the node's lists already; an event may be told before.
  const held = [progress.blobs_held, progress.bytes_held, ...progress.pulls.map((p) => `${p.id} ${p.state} ${p.bytes_done}`)].join();
  if (held !== state.heldSeen) reposSoon();
  state.heldSeen = held;
  render();
  details();
}

// Asks for the repos, not too often, and once more for what changed while an answer was on its way.
const repos = {timer: null, stale: false, askedAt: 0};

function reposSoon() {
  repos.stale = true;
  repos.timer ??= setTimeout(refreshRepos, Math.max(0, repos.askedAt + REPOS_PAUSE_MS - Date.now()));
}

async function refreshRepos() {
  if (!document.hidden) {
    repos.stale = false;
    repos.askedAt = Date.now();
    await refreshModels().then(render, () => {
      repos.stale = true;
    });
  }
  repos.timer = null;
  if (repos.stale && !document.hidden) reposSoon();
}

function onEvent(kind, row) {
  addEvent(row);
  if (REPO_EVENTS.has(kind)) reposSoon();
  if (kind === 'pull_done' || kind === 'pull_failed') {
    setText($('announce'), kind === 'pull_done' ? `Pull of ${row.repo} is done` : `Pull of ${row.repo} failed: ${row.text}`);
  }
  render();
}

function onConnection(what) {
  if (what === 'token') return askToken();
  setAttribute($('connection'), 'class', `connection ${what}`);
  setText($('connection-text'), what === 'live' ? 'live' : 'no connection, trying again');
  document.body.classList.toggle('stale', what !== 'live');
  // The node may be another one by now: restarted, upgraded.
  if (what === 'lost') state.listsStale = true;
  else if (state.listsStale) loadLists();
}

function askToken() {
  $('token-form').hidden = false;
  $('token').focus();
}

// Start

async function loadPulls() {
  const {pulls} = await get('pulls?limit=50');
  for (const pull of pulls) state.pulls.set(pull.id, pull);
  render();
}

async function loadRates() {
  state.seconds = (await get('rates')).rates.map(sample);
  state.minutes = (await get('rates?series=minutes')).rates.map(sample);
  render();
}

async function loadEvents() {
  setEvents((await get('events?limit=100')).events);
  if (state.eventsFollowed) return;
  state.eventsFollowed = true;
  follow('events', onEvent, () => {});
}

// Each is drawn as it comes.
async function loadLists() {
  state.listsStale = false;
  const node = get('node').then((answer) => (state.node = answer));
  const peers = get('peers').then((answer) => answer.peers.forEach((p) => state.peers.set(p.node, p)));
  const parts = [node, refreshModels(), peers, loadPulls(), loadEvents(), loadRates()];
  for (const part of parts) part.then(render, () => {});
  const failed = (await Promise.allSettled(parts)).find((part) => part.status === 'rejected');
  if (!failed) return;
  if (failed.reason instanceof NeedsToken) return askToken();
  setTimeout(loadLists, RETRY_MS);
}

function startRange() {
  const choose = (span) => {
    state.span = span;
    $('range-seconds').setAttribute('aria-pressed', String(span === SECONDS_SPAN));
    $('range-minutes').setAttribute('aria-pressed', String(span === MINUTES_SPAN));
    if (span === MINUTES_SPAN) loadRates().catch(() => {});
    render();
  };
  $('range-seconds').addEventListener('click', () => choose(SECONDS_SPAN));
  $('range-minutes').addEventListener('click', () => choose(MINUTES_SPAN));
}

startTheme();
plot = new RatePlot($('plot'));
startModels();
startEvents();
startRange();
$('token-form').addEventListener('submit', (event) => {
  event.preventDefault();
  setToken($('token').value.trim());
  location.reload();
});
document.addEventListener('visibilitychange', () => {
  render();
  details();
  if (repos.stale) reposSoon();
});
loadLists();
follow('progress', (_, data) => onProgress(data), onConnection);
