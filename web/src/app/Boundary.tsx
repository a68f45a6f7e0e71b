import { Button } from '@mantine/core';
import { Component, type ReactNode } from 'react';

/**
 * Keeps a page that fails from taking the rest with it. A new version of the server has new scripts, so that a page
 * opened before may ask for one that is gone: loading the page anew is the cure for that, too.
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
        <div>
          Nothing that you did is lost on the server. Load the page again; if it fails again, tell the operator this:
        </div>
        <code className="mono" style={{ overflowWrap: 'anywhere' }}>
          {String(failure)}
        </code>
        <div>
          <Button onClick={() => location.reload()}>Load it again</Button>
        </div>
      </div>
    );
  }
}
