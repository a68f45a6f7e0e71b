import { Button } from '@mantine/core';
import { useState } from 'react';
import { type Event, useDeploymentEvents } from '../../api/deployments';
import { eventLabels } from '../../api/eventTypes';
import { Loaded } from '../../parts/Loaded';
import { formatNumber } from '../../parts/locale';
import { Money } from '../../parts/Money';
import { Time } from '../../parts/Time';

/** The deployment's events, newest first. */
export function Events({ id }: { id: string }) {
  const [all, setAll] = useState(false);
  const events = useDeploymentEvents(id, all);
  return (
    <Loaded query={events}>
      {({ rows, hidden }) => (
        <section className="panel" style={{ marginTop: 16 }} aria-label="Events">
          <div className="panel-body">
            <ol className="timeline" reversed>
              {rows.toReversed().map((e) => (
                <li key={e.id}>
                  <Time at={e.createdAt} seconds />
                  <span>
                    {labelOf(e)}
                    {noteOf(e) && <span className="cell-sub">{noteOf(e)}</span>}
                  </span>
                  <span>{typeof e.data.amount === 'number' && <Money usd={e.data.amount} />}</span>
                </li>
              ))}
            </ol>
            {hidden > 0 && (
              <p className="small dim">
                {formatNumber(hidden)} events hidden.{' '}
                {!all && (
                  <Button size="compact-xs" variant="default" onClick={() => setAll(true)}>
                    Load all
                  </Button>
                )}
              </p>
            )}
          </div>
        </section>
      )}
    </Loaded>
  );
}

function labelOf(e: Event): string {
  const known = (eventLabels as Record<string, string>)[e.type];
  if (known) return known;
  // A type that this page does not know yet is shown by its name.
  const text = (e.type.split('.').at(-1) ?? e.type).replaceAll(/[-_]/g, ' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function noteOf(e: Event): string {
  const { description, detail, reason, cause, step } = e.data as Record<string, unknown>;
  const first = [description, detail, reason, cause].find((v) => typeof v === 'string' && v);
  return [typeof step === 'string' ? step : '', typeof first === 'string' ? first : ''].filter(Boolean).join(': ');
}
