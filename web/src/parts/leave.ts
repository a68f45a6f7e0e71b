// Asks before a page is left while something in it would be lost. One page at a time can ask.

import { useEffect, useRef, useSyncExternalStore } from 'react';

export interface Guard {
  /** Whether leaving now would lose something. */
  needed: () => boolean;
  title: string;
  text: string;
  action: string;
}

/** A navigation that waits for an answer. */
export interface Question {
  guard: Guard;
  go: () => void;
}

let guard: Guard | null = null;
let question: Question | null = null;
const listeners = new Set<() => void>();

function ask(next: Question | null) {
  question = next;
  for (const tell of listeners) tell();
}

/** While the component is mounted, leaving the page or the address asks first where `needed` says so. */
export function useLeaveGuard(of: Guard) {
  const latest = useRef(of);
  latest.current = of;
  useEffect(() => {
    const mine: Guard = {
      needed: () => latest.current.needed(),
      get title() {
        return latest.current.title;
      },
      get text() {
        return latest.current.text;
      },
      get action() {
        return latest.current.action;
      },
    };
    guard = mine;
    // Closing the tab, a reload, and links to elsewhere: the browser asks in its own words.
    const unload = (e: BeforeUnloadEvent) => {
      if (mine.needed()) e.preventDefault();
    };
    window.addEventListener('beforeunload', unload);
    return () => {
      window.removeEventListener('beforeunload', unload);
      if (guard === mine) guard = null;
      if (question?.guard === mine) ask(null);
    };
  }, []);
}

/** Whether a navigation must wait; if so, the question is shown, and `go` is called on a yes. */
export function mustAsk(go: () => void): boolean {
  if (!guard?.needed()) return false;
  ask({ guard, go });
  return true;
}

export function answer(yes: boolean) {
  const open = question;
  ask(null);
  if (!yes || !open) return;
  // Whoever said yes is not asked again by the same navigation.
  if (guard === open.guard) guard = null;
  open.go();
}

export function useQuestion(): Question | null {
  return useSyncExternalStore(
    (tell) => {
      listeners.add(tell);
      return () => listeners.delete(tell);
    },
    () => question,
  );
}
