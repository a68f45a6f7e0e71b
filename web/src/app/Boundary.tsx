import { Button } from '@mantine/core';
import { Component, type ReactNode } from 'react';

/**
 * Keeps a failing page from taking the rest with it. After an upgrade of the server, a page opened
 * before may load a script that is gone; a reload fixes that too.
 */
export class Boundary extends Component<{ children: ReactNode }, { failure: unknown }> {
  override state = { failure: null as unknown };

  static getDerivedStateFromError(failure: unknown) {
    return { failure };
  }

  override render() {
    const { failure } = this.state;
    if (!failure) return this.props.children;
    return (
      <div role="alert" className="stack" style={{ maxWidth: 620 }}>
        <h1 style={{ margin: 0, fontSize: '1.45rem' }}>This page failed</h1>
        <div>Nothing is lost on the server. Reload the page. If it fails again, send this to the operator:</div>
        <code className="mono" style={{ overflowWrap: 'anywhere' }}>
          {String(failure)}
        </code>
        <div>
          <Button onClick={() => location.reload()}>Reload page</Button>
        </div>
      </div>
    );
  }
}
