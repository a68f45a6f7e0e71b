import type { ReactNode } from 'react';
import { Logo } from '../../app/Logo';
import './door.css';

/** The frame of the pages outside: a card, a name, nothing else. */
export function Door({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div className="door">
      <header className="door-head">
        <Logo />
      </header>
      <main className="door-card">
        <h1>{title}</h1>
        {children}
      </main>
      <footer className="small dim">
        Bare-metal GPUs by the hour. <a href="/docs">API documentation</a>
      </footer>
    </div>
  );
}
