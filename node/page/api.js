// Requests to the node this page came from. A node with a token answers 401 until the person has given it; it is
// kept for this tab only.

const KEY = 'shoal-token';

export class NeedsToken extends Error {}

function headers(accept) {
  const token = sessionStorage.getItem(KEY);
  return token ? {Accept: accept, Authorization: `Bearer ${token}`} : {Accept: accept};
}

export function setToken(token) {
  sessionStorage.setItem(KEY, token);
}

async function open(path, accept, signal) {
  const answer = await fetch(`/shoal/v1/${path}`, {headers: headers(accept), signal, cache: 'no-store'});
  if (answer.status === 401) throw new NeedsToken();
  if (!answer.ok) {
    const body = await answer.json().catch(() => null);
    throw new Error(body?.error?.message ?? `HTTP status ${answer.status}`);
  }
  return answer;
}

export async function get(path) {
  return (await open(path, 'application/json')).json();
}

// Server-sent events by fetch, because EventSource cannot send the token. Calls use(kind, data) for each until the
// connection ends; returns then, or throws.
export async function events(path, use, signal) {
  const answer = await open(path, 'text/event-stream', signal);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const {done, value} = await reader.read();
    if (done) return;
    rest += value;
    const frames = rest.split('\n\n');
    rest = frames.pop();
    for (const frame of frames) {
      let kind = 'message';
      let data = '';
      for (const line of frame.split('\n')) {
        if (line.startsWith('event: ')) kind = line.slice(7);
        else if (line.startsWith('data: ')) data += line.slice(6);
      }
      use(kind, data === '' ? null : JSON.parse(data));
    }
  }
}
