// Keeps a stream open: again after it broke, sooner at first, and never silent about it.

import {events, NeedsToken} from '/page/api.js';

const RETRY_MS = [500, 1000, 2000, 5000];
const SILENT_MS = 40_000;  // the node sends a comment every 15 s

// use(kind, data): each event, and null for comments. onState('live' | 'lost' | 'token').
export function follow(path, use, onState) {
  let failures = 0;
  async function run() {
    const abort = new AbortController();
    let watchdog = setTimeout(() => abort.abort(), SILENT_MS);
    try {
      await events(path, (kind, data) => {
        clearTimeout(watchdog);
        watchdog = setTimeout(() => abort.abort(), SILENT_MS);
        failures = 0;
        onState('live');
        if (data !== null) use(kind, data);
      }, abort.signal);
    } catch (error) {
      if (error instanceof NeedsToken) {
        onState('token');
        clearTimeout(watchdog);
        return;
      }
    }
    clearTimeout(watchdog);
    onState('lost');
    setTimeout(run, RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]);
  }
  run();
}
