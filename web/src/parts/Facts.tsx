import { Fragment, type ReactNode } from 'react';
import './facts.css';

/** Names and values. Values that are undefined are left out. */
export function Facts({ items }: { items: [string, ReactNode | undefined][] }) {
  return (
    <dl className="facts">
      {items
        .filter(([, value]) => value !== undefined)
        .map(([name, value]) => (
          <Fragment key={name}>
            <dt>{name}</dt>
            <dd>{value ?? <span className="dim">–</span>}</dd>
          </Fragment>
        ))}
    </dl>
  );
}

/** One large figure with its name and a note. */
export function Figure({ name, children, note }: { name: string; children: ReactNode; note?: ReactNode }) {
  return (
    <div className="figure">
      <div className="figure-name">{name}</div>
      <div className="figure-value">{children}</div>
      {note && <div className="figure-note">{note}</div>}
    </div>
  );
}
