import type { ReactNode } from 'react';
import { useTitle } from './title';

/** The page's one h1 with its actions. It sets the browser tab's title too. */
export function PageHead({
  title,
  children,
  actions,
  before,
}: {
  title: string;
  children?: ReactNode;
  actions?: ReactNode;
  before?: ReactNode;
}) {
  useTitle(title);
  return (
    <header className="page-head">
      <div style={{ minWidth: 0 }}>
        {before}
        <h1>{title}</h1>
        {children && <p>{children}</p>}
      </div>
      {actions && <div style={{ display: 'flex', gap: 8, flexWrap: 'wrap' }}>{actions}</div>}
    </header>
  );
}
