// The account's server-sent events. One stream for the whole dashboard says which queries to read
// again. Pages poll without it and are only slower. It uses fetch, since EventSource hides the
// status of a refusal and needs every event's name in advance.

import { useEffect, useSyncExternalStore } from 'react';
import { learnServerTimeAfter } from './clock';
import { mePath, refresh } from './queries';

const url = '/api/v1/inventory/events';

let live = false;
const listeners = new Set<() => void>();

function setLive(next: boolean) {
  if (live === next) return;
  live = next;
  for (const notify of listeners) notify();
}

/** Reports whether events arrive. While they do not, pages poll. */
export function useLive(): boolean {
  return useSyncExternalStore(
    (notify) => {
      listeners.add(notify);
      return () => listeners.delete(notify);
    },
    () => live,
  );
}

let open: AbortController | undefined;

/** Closes the stream at sign-out, so that its end triggers no further requests. */
export function closeEvents() {
  open?.abort();
}

/** Keeps the stream open while the component is mounted and `enabled`. */
export function useEventStream(enabled: boolean) {
  useEffect(() => {
    if (!enabled) return;
    const stop = new AbortController();
    open = stop;
    void follow(stop.signal);
    return () => {
      stop.abort();
      setLive(false);
    };
  }, [enabled]);
}

async function follow(signal: AbortSignal) {
  let last = '';
  let wait = 1000;
  while (!signal.aborted) {
    try {
      const headers: Record<string, string> = { Accept: 'text/event-stream' };
      if (last) headers['Last-Event-ID'] = last;
      const response = await fetch(url, { headers, signal });
      const stream = response.headers.get('Content-Type')?.startsWith('text/event-stream');
      // Refused, or a server without the stream: polling does as well, so retry rarely.
      if (!response.ok || !stream || !response.body) {
        wait = Math.max(60_000, 1000 * Number(response.headers.get('Retry-After') ?? 0));
        // What came after the last event is not kept anymore: read all, and follow from now on.
        if (response.status === 410) {
          last = '';
          wait = 1000;
        }
      } else {
        wait = 1000;
        setLive(true);
        // The stream starts now: read what happened before it.
        if (!last) schedule('');
        for await (const event of read(response.body)) {
          if (event.id) last = event.id;
          if (event.data) schedule(event.data);
        }
      }
    } catch {
      wait = Math.min(wait * 2, 30_000);
    }
    // The server may have ended too. A read finds out, and polling continues from there.
    if (live && !signal.aborted) schedule('');
    setLive(false);
    if (!signal.aborted) await sleep(wait, signal);
  }
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      done();
    });
  });
}

export interface Message {
  id: string;
  data: string;
}

/** The messages of an event stream's body. */
export async function* read(body: ReadableStream<Uint8Array>): AsyncGenerator<Message> {
  const reader = body.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>).getReader();
  let rest = '';
  let message: Message = { id: '', data: '' };
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split('\n');
    rest = lines.pop() ?? '';
    for (const raw of lines) {
      const line = raw.replace(/\r$/, '');
      if (line === '') {
        if (message.data || message.id) yield message;
        message = { id: '', data: '' };
      } else if (line.startsWith('id:')) message.id = line.slice(3).trim();
      else if (line.startsWith('data:')) message.data += line.slice(5).replace(/^ /, '');
    }
  }
}

// Events come in bursts (a status, its charge, its release). One refresh after the burst covers all
// of them.
let pending = new Set<string>();
let timer: ReturnType<typeof setTimeout> | undefined;

function schedule(text: string) {
  pending.add(subjectOf(text));
  if (timer) return;
  timer = setTimeout(() => {
    timer = undefined;
    const subjects = pending;
    pending = new Set();
    const all = subjects.has('');
    const any = (prefix: string) => all || [...subjects].some((s) => s.startsWith(prefix));
    refresh('/api/v1/inventory/wallet');
    // Not at the stream's start: the page has just read it, and the server repeats missed events.
    if ([...subjects].some((s) => s.startsWith('acc_'))) refresh(mePath);
    if (any('dep_')) refresh('/api/v1/inventory/deployments');
    if (any('dep_') || any('vol_')) refresh('/api/v1/inventory/volumes');
  }, 150);
}

function subjectOf(text: string): string {
  if (!text) return '';
  try {
    const event = JSON.parse(text) as { subject?: string; createdAt?: string };
    if (event.createdAt) learnServerTimeAfter(event.createdAt);
    return event.subject ?? '';
  } catch {
    return '';
  }
}
