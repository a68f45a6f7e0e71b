import type { ReactNode } from 'react';
import { CodeBlock } from './Copy';
import { curl } from './curl';

interface Props {
  title: string;
  children: ReactNode;
  /** The button for the next step. */
  action?: ReactNode;
  /** The same with the API. */
  api?: { method?: string; path: string; body?: object };
}

/** A page without content: what it is for, the next step, and the same with curl. */
export function EmptyState({ title, children, action, api }: Props) {
  return (
    <div className="panel" style={{ padding: '36px 24px' }}>
      <div className="stack" style={{ maxWidth: 620, margin: '0 auto' }}>
        <h2 style={{ margin: 0, fontSize: '1.1rem' }}>{title}</h2>
        <div className="dim">{children}</div>
        {action && <div>{action}</div>}
        {api && (
          <div>
            <div className="small dim" style={{ marginBottom: 6 }}>
              Or with the API
            </div>
            <CodeBlock value={curl(api.path, api.method, api.body)} label="curl command" />
          </div>
        )}
      </div>
    </div>
  );
}
