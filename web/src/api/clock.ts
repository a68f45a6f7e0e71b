// The server's time, which is what bills and minimum runtimes count by. It differs from this computer's where a
// clock is wrong, and by hours once the simulator's time has been moved; so answers that tell the server's time
// teach the difference, and everything that counts down or up asks here.

import { useSyncExternalStore } from 'react';

let offset = 0;
const listeners = new Set<() => void>();

/** Learns that the server's time was `at` (RFC 3339 or milliseconds) just now. */
export function learnServerTime(at: string | number) {
  const found = (typeof at === 'number' ? at : Date.parse(at)) - Date.now();
  // Differences below two seconds are the network's, not the clock's.
  if (!Number.isFinite(found) || Math.abs(found - offset) < 2000) return;
  offset = found;
  for (const tell of listeners) tell();
}

/** Learns from something that the server has dated: its time is that or later. */
export function learnServerTimeAfter(at: string) {
  const time = Date.parse(at);
  if (time > serverNow() + 2000) learnServerTime(time);
}

/** Now, by the server's clock, in milliseconds. */
export function serverNow(): number {
  return Date.now() + offset;
}

/** Now by the server's clock, to the step given in milliseconds; renders anew at each step. */
export function useNow(step = 1000): number {
  return useSyncExternalStore(
    (tell) => {
      listeners.add(tell);
      const timer = setInterval(tell, step);
      return () => {
        listeners.delete(tell);
        clearInterval(timer);
      };
    },
    () => Math.floor(serverNow() / step) * step,
  );
}
