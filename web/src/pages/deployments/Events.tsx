import { type Event, useDeploymentEvents } from '../../api/deployments';
import { eventLabels } from '../../api/eventTypes';
import { ErrorBox } from '../../parts/ErrorBox';
import { Money } from '../../parts/Money';
import { PageSkeleton } from '../../parts/Skeletons';
import { Time } from '../../parts/Time';

/** Everything that happened to it, newest first. */
export function Events({ id }: { id: string }) {
  const events = useDeploymentEvents(id);
  if (!events.data) return events.isError ? <ErrorBox error={events.error} /> : <PageSkeleton />;
  const { rows, left } = events.data;
  return (
    <section className="panel" style={{ marginTop: 16 }} aria-label="Events">
      <div className="panel-body">
        <ol className="timeline" reversed>
          {rows.toReversed().map((e) => (
            <li key={e.id}>
              <Time at={e.createdAt} seconds />
              <span>
                {describe(e)}
                {note(e) && <span className="cell-sub">{note(e)}</span>}
              </span>
              <span>{typeof e.data.amount === 'number' && <Money usd={e.data.amount} />}</span>
            </li>
          ))}
        </ol>
        {left > 0 && <p className="small dim">{left} in between are left out here; GET …/events has them all.</p>}
      </div>
    </section>
  );
}

function describe(e: Event): string {
  const known = (eventLabels as Record<string, string>)[e.type];
  if (known) return known;
  // A type that this page does not know yet still reads as words.
  const text = (e.type.split('.').at(-1) ?? e.type).replaceAll(/[-_]/g, ' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function note(e: Event): string {
  const { description, detail, reason, cause, step } = e.data as Record<string, unknown>;
  const first = [description, detail, reason, cause].find((v) => typeof v === 'string' && v);
  return [typeof step === 'string' ? step : '', typeof first === 'string' ? first : ''].filter(Boolean).join(': ');
}
