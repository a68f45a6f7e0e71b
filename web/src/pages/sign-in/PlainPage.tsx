import type { ReactNode } from 'react';
import { Logo } from '../../app/Logo';
import { SiteLinks } from '../../parts/SiteLinks';
import './plain-page.css';

/** The frame of the pages without a session: a card and the logo. */
export function PlainPage({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div className="plain-page">
      <header className="plain-head">
        <Logo />
      </header>
      <main className="plain-card">
        <h1>{title}</h1>
        {children}
      </main>
      <footer className="small dim">
        <SiteLinks />
      </footer>
    </div>
  );
}
