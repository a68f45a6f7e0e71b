import { Burger, Button } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { lazy, type ReactNode, Suspense, useEffect, useRef } from 'react';
import { useLocation } from 'react-router';
import { useEventStream } from '../api/events';
import { retryFailing, useOutage } from '../api/health';
import { useCan } from '../api/session';
import { useServerClock } from '../api/wallet';
import { Announcements } from './Announcements';
import { Extras } from './Extras';
import { Funds } from './Funds';
import { SearchIcon } from './icons';
import { Logo } from './Logo';
import { Nav } from './Nav';
import { PastDue } from './PastDue';
import { onMac, openPalette } from './Shortcuts';
import { Suspended } from './Suspended';
import { Viewing } from './Viewing';
import './shell.css';

// Menus load after the content of the page.
const AccountMenu = lazy(async () => ({ default: (await import('./AccountMenu')).AccountMenu }));
const NavDrawer = lazy(() => import('./NavDrawer'));

export function Shell({ children }: { children: ReactNode }) {
  const [menu, { toggle, close }] = useDisclosure(false);
  const can = useCan();
  const main = useRef<HTMLElement>(null);
  const { pathname } = useLocation();
  useEventStream(can('deployments:read'));
  useServerClock(can('wallet:read'));

  // A new page begins at its top, for screen readers too. Its tabs and filters are not new pages.
  const page = pathname.split('/').slice(0, 3).join('/');
  const shown = useRef(page);
  useEffect(() => {
    close();
    if (shown.current === page) return;
    shown.current = page;
    window.scrollTo(0, 0);
    main.current?.focus({ preventScroll: true });
  }, [page, close]);

  return (
    <>
      <a href="#main" className="skip">
        Skip to content
      </a>
      <div className="shell">
        <aside className="side" aria-label="Sidebar">
          <div className="side-head">
            <Logo />
            <PaletteButton />
          </div>
          <Nav />
          <div className="side-foot">
            {can('wallet:read') && <Funds />}
            <Suspense fallback={<div className="account-menu" />}>
              <AccountMenu />
            </Suspense>
          </div>
        </aside>
        <section className="top-bar" aria-label="Top bar">
          <Burger opened={menu} onClick={toggle} size="sm" aria-label={menu ? 'Close menu' : 'Open menu'} />
          <Logo />
          <PaletteButton />
          {can('wallet:read') && <Funds short />}
        </section>
        <div style={{ minWidth: 0 }}>
          <Outage />
          <Viewing />
          <Suspended />
          <PastDue />
          <Announcements />
          <main id="main" className="page" ref={main} tabIndex={-1}>
            {children}
          </main>
        </div>
      </div>
      <Suspense fallback={null}>{menu && <NavDrawer onClose={close} />}</Suspense>
      <Extras />
    </>
  );
}

/** Opens the command palette, and shows its keys. */
function PaletteButton() {
  return (
    <button
      type="button"
      className="palette-button"
      aria-keyshortcuts={onMac ? 'Meta+K' : 'Control+K'}
      onClick={openPalette}
    >
      <SearchIcon />
      <span className="palette-button-text">Search</span>
      <span className="palette-button-text palette-button-keys" aria-hidden="true">
        {onMac ? '⌘K' : 'Ctrl K'}
      </span>
    </button>
  );
}

/** The banner shown while the API does not respond. */
function Outage() {
  const failure = useOutage();
  if (!failure) return null;
  const title = failure.status === 429 ? 'Too many requests.' : 'The API is not responding.';
  return (
    <div className="banner banner-bad" role="alert">
      <span>
        <b>{title}</b> This page may be outdated. {failure.retryAfter ? `Retrying in ${failure.retryAfter} s.` : ''}
      </span>
      <Button size="compact-sm" variant="default" onClick={retryFailing}>
        Retry
      </Button>
    </div>
  );
}
