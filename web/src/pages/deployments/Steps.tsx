import type { Deployment } from '../../api/deployments';
import { CheckIcon } from '../../app/icons';
import { Elapsed, Time } from '../../parts/Time';

const words: Record<string, string> = {
  queued: 'Queued',
  launching: 'Launching',
  provisioning: 'Provisioning',
  connecting: 'Connecting',
};

/** How far deploying has come, each step with how long it took. */
export function Steps({ of: d }: { of: Deployment }) {
  const active = d.steps.find((s) => s.status === 'active');
  return (
    <section className="panel" aria-labelledby="progress">
      <div className="panel-head">
        <h2 id="progress">{d.status === 'failed' ? 'How far it came' : 'On its way'}</h2>
        <span className="small dim">
          since <Time at={d.createdAt} />
        </span>
      </div>
      <div className="panel-body">
        <div className="sr" aria-live="polite">
          {active ? `${words[active.name] ?? active.name}${active.detail ? `: ${active.detail}` : ''}` : ''}
        </div>
        <ol className="steps-list">
          {d.steps.map((s) => (
            <li key={s.name} className="step" data-status={s.status}>
              <span className="step-mark" aria-hidden="true">
                {s.status === 'done' && <CheckIcon width={13} height={13} />}
                {s.status === 'failed' && '!'}
              </span>
              <span className="step-name">
                {words[s.name] ?? s.name}
                <span className="sr">, {s.status}</span>
              </span>
              <span className="small dim">{s.startedAt && <Elapsed since={s.startedAt} until={s.finishedAt} />}</span>
              {s.detail && <span className="step-detail">{s.detail}</span>}
            </li>
          ))}
        </ol>
      </div>
    </section>
  );
}
