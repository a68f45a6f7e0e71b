import { type ReactNode, useId } from 'react';

interface Props {
  title: ReactNode;
  /** At the end of the title's line. */
  actions?: ReactNode;
  children: ReactNode;
  /** The content brings its own padding, such as a table. */
  bare?: boolean;
  mt?: number;
}

/** A titled box. */
export function Panel({ title, actions, children, bare = false, mt }: Props) {
  const id = useId();
  return (
    <section className="panel" aria-labelledby={id} style={{ marginTop: mt }}>
      <div className="panel-head">
        <h2 id={id}>{title}</h2>
        {actions}
      </div>
      {bare ? children : <div className="panel-body stack">{children}</div>}
    </section>
  );
}
