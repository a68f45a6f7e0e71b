import { type ReactNode, startTransition, useLayoutEffect, useMemo, useState } from 'react';
import { UNSAFE_createBrowserHistory as createBrowserHistory, type Navigator, Router } from 'react-router';
import { mustAsk } from '../parts/leaveGuard';

type Update = Parameters<Parameters<ReturnType<typeof createBrowserHistory>['listen']>[0]>[0];

/**
 * react-router's BrowserRouter, which asks before the user leaves a page that would lose something
 * (parts/leaveGuard.ts). Changes of the query, such as filters, stay on the page and never ask.
 */
export function GuardedRouter({ children }: { children: ReactNode }) {
  const history = useMemo(() => createBrowserHistory({ v5Compat: true }), []);
  const [now, setNow] = useState({ action: history.action, location: history.location });

  const navigator = useMemo((): Navigator => {
    const leaves = (to: Parameters<Navigator['push']>[0]) => {
      const next = new URL(typeof to === 'string' ? to : history.createHref(to), location.href);
      return next.pathname !== location.pathname;
    };
    return {
      createHref: history.createHref,
      encodeLocation: history.encodeLocation,
      go: history.go,
      push: (to, state) => {
        const go = () => history.push(to, state);
        if (!leaves(to) || !mustAsk(go)) go();
      },
      replace: (to, state) => {
        const go = () => history.replace(to, state);
        if (!leaves(to) || !mustAsk(go)) go();
      },
    };
  }, [history]);

  useLayoutEffect(() => {
    let shown = history.location.pathname;
    // Back and forward have already happened when this runs. They are undone, and done again on
    // confirmation.
    let undoing = false;
    return history.listen((update: Update) => {
      if (undoing) {
        undoing = false;
        return;
      }
      const { action, location: to, delta } = update;
      if (action === 'POP' && delta && to.pathname !== shown && mustAsk(() => history.go(delta))) {
        undoing = true;
        history.go(-delta);
        return;
      }
      shown = to.pathname;
      startTransition(() => setNow({ action, location: to }));
    });
  }, [history]);

  return (
    <Router location={now.location} navigationType={now.action} navigator={navigator}>
      {children}
    </Router>
  );
}
