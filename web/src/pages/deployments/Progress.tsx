import type { Deployment } from '../../api/deployments';
import { CheckIcon } from '../../app/icons';
import { Panel } from '../../parts/Panel';
import { Elapsed, Time } from '../../parts/Time';

/** The steps of deploying, each with its duration. */
export function Progress({ of: d }: { of: Deployment }) {
  const active = d.steps.find((s) => s.status === 'active');
  return (
    <Panel
      title="Deployment progress"
      actions={
        <span className="small dim">
          since <Time at={d.createdAt} />
        </span>
      }
    >
      <div className="sr" aria-live="polite">
        {active ? [capitalize(active.name), active.detail].filter(Boolean).join(': ') : ''}
      </div>
      <ol className="steps-list">
        {d.steps.map((s) => (
          <li key={s.name} className="step" data-status={s.status}>
            <span className="step-mark" aria-hidden="true">
              {s.status === 'done' && <CheckIcon width={13} height={13} />}
              {s.status === 'failed' && '!'}
            </span>
            <span className="step-name">
              {capitalize(s.name)}
              <span className="sr">, {s.status}</span>
            </span>
            <span className="small dim">{s.startedAt && <Elapsed since={s.startedAt} until={s.finishedAt} />}</span>
            {s.detail && <span className="step-detail">{s.detail}</span>}
          </li>
        ))}
      </ol>
    </Panel>
  );
}

function capitalize(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}
