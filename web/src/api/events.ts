// The account's server-sent events. One stream for the whole dashboard tells which queries to ask again; it says
// nothing that the API would not say, so a page is right without it and only slower. fetch rather than EventSource:
// that one hides the status of a refusal, and needs every event's name beforehand.

import { useEffect, useSyncExternalStore } from 'react';
import { learnServerTimeAfter } from './clock';
import { key, queryClient } from './queries';

const url = '/api/v1/inventory/events';

let live = false;
const listeners = new Set<() => void>();

function become(next: boolean) {
  if (live === next) return;
  live = next;
  for (const tell of listeners) tell();
}

/** Whether events arrive; while they do not, pages poll. */
export function useLive(): boolean {
  return useSyncExternalStore(
    (tell) => {
      listeners.add(tell);
      return () => listeners.delete(tell);
    },
    () => live,
  );
}

let open: AbortController | undefined;

/** Ends the stream: who signs out hears nothing more, and the stream's end is no reason to ask for anything. */
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
      become(false);
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
      // Refused, or a server without the stream: polling does as well, so ask seldom.
      if (!response.ok || !stream || !response.body) {
        wait = Math.max(60_000, 1000 * Number(response.headers.get('Retry-After') ?? 0));
      } else {
        wait = 1000;
        become(true);
        // Whatever happened before the stream opened was not told.
        if (!last) refresh('');
        for await (const event of read(response.body)) {
          if (event.id) last = event.id;
          if (event.data) refresh(event.data);
        }
      }
    } catch {
      wait = Math.min(wait * 2, 30_000);
    }
    // The stream's end may be the server's: asking at once finds out, and polling goes on from there.
    if (live && !signal.aborted) refresh('');
    become(false);
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

// Events come in bursts (a status, its charge, its release): one refetch after the burst answers all of them.
let pending = new Set<string>();
let timer: ReturnType<typeof setTimeout> | undefined;

function refresh(text: string) {
  pending.add(subjectOf(text));
  if (timer) return;
  timer = setTimeout(() => {
    timer = undefined;
    const subjects = pending;
    pending = new Set();
    const all = subjects.has('');
    const any = (prefix: string) => all || [...subjects].some((s) => s.startsWith(prefix));
    if (any('dep_')) void queryClient.invalidateQueries({ queryKey: key.deployments });
    if (any('dep_') || any('vol_')) void queryClient.invalidateQueries({ queryKey: key.volumes });
    void queryClient.invalidateQueries({ queryKey: key.wallet });
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
