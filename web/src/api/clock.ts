// The server's time, which bills and minimum runtimes count by. It differs from this computer's
// time where a clock is wrong, and by hours once the simulator's clock has been advanced. Responses
// that contain the server's time set the offset, and everything that counts down or up uses it.

import { useSyncExternalStore } from 'react';

let offset = 0;
const listeners = new Set<() => void>();

/** Learns that the server's time was `at` (RFC 3339 or milliseconds) just now. */
export function learnServerTime(at: string | number) {
  const measured = (typeof at === 'number' ? at : Date.parse(at)) - Date.now();
  // Differences below two seconds are the network's, not the clock's.
  if (!Number.isFinite(measured) || Math.abs(measured - offset) < 2000) return;
  offset = measured;
  for (const notify of listeners) notify();
}

/** Learns from a timestamp of the server: its time is that or later. */
export function learnServerTimeAfter(at: string) {
  const time = Date.parse(at);
  if (time > serverNow() + 2000) learnServerTime(time);
}

/** Now, by the server's clock, in milliseconds. */
export function serverNow(): number {
  return Date.now() + offset;
}

/** Now by the server's clock, to the step given in milliseconds; renders again at each step. */
export function useNow(step = 1000): number {
  return useSyncExternalStore(
    (notify) => {
      listeners.add(notify);
      const timer = setInterval(notify, step);
      return () => {
        listeners.delete(notify);
        clearInterval(timer);
      };
    },
    () => Math.floor(serverNow() / step) * step,
  );
}
