// Asks before the user leaves a page that would lose something. One page at a time can ask.

import { useEffect, useRef } from 'react';
import { type ConfirmRequest, confirm, dismiss } from './confirm';

export interface Guard {
  /** Reports whether leaving now would lose something. */
  needed: () => boolean;
  title: string;
  body: string;
  action: string;
}

type Active = { current: Guard };

let active: Active | null = null;
let request: ConfirmRequest | null = null;

/** While the component is mounted, leaving the page asks first where `needed` reports true. */
export function useLeaveGuard(guard: Guard) {
  const latest = useRef(guard);
  latest.current = guard;
  useEffect(() => {
    active = latest;
    // The browser asks in its own words before a closed tab, a reload or another site.
    const unload = (e: BeforeUnloadEvent) => {
      if (latest.current.needed()) e.preventDefault();
    };
    window.addEventListener('beforeunload', unload);
    return () => {
      window.removeEventListener('beforeunload', unload);
      if (active !== latest) return;
      active = null;
      dismiss(request);
    };
  }, []);
}

/**
 * Reports whether a navigation must wait. If so, the user is asked, and `go` runs on confirmation.
 */
export function mustAsk(go: () => void): boolean {
  const guard = active;
  if (!guard?.current.needed()) return false;
  const { title, body, action } = guard.current;
  request = {
    title,
    body,
    action,
    run: () => {
      // The confirmed navigation does not ask again.
      if (active === guard) active = null;
      go();
    },
  };
  confirm(request);
  return true;
}
