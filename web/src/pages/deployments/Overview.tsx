import { Alert } from '@mantine/core';
import { Link } from 'react-router';
import { type Deployment, ended } from '../../api/deployments';
import { CodeBlock, CopyField } from '../../parts/Copy';
import { curl } from '../../parts/curl';
import { Facts } from '../../parts/Facts';
import { Chip } from '../../parts/Status';
import { Time } from '../../parts/Time';
import { sentence } from '../../parts/text';
import { Attached } from './Attached';
import { Cost } from './Cost';
import { Steps } from './Steps';

const bad: Partial<Record<Deployment['status'], string>> = {
  failed: 'It did not come up',
  interrupted: 'The provider took the machine back',
};

export function Overview({ of: d }: { of: Deployment }) {
  const coming = d.status === 'pending' || d.status === 'deploying';
  return (
    <div className="detail">
      <div className="stack">
        {bad[d.status] && (
          <Alert color="red" variant="outline" title={bad[d.status]}>
            {sentence(d.statusReason ?? d.statusCause ?? '')}{' '}
            {d.status === 'failed' && d.costToDate === 0 && 'You were not charged, and the hold was released.'}
          </Alert>
        )}
        {d.statusReason && !bad[d.status] && (
          <Alert color="amber" variant="outline">
            {sentence(d.statusReason)}
          </Alert>
        )}
        {d.pendingAction && (
          <Alert color="amber" variant="outline" role="status">
            Asked the provider for: {d.pendingAction}.
          </Alert>
        )}
        {(coming || d.status === 'failed') && <Steps of={d} />}
        {!coming && !ended(d) && <Connect of={d} />}
        {!ended(d) && d.capabilities.volumes && <Attached of={d} />}
        <Machine of={d} />
      </div>
      <div className="stack">
        <Cost of={d} />
        <details className="panel same">
          <summary>The same as curl</summary>
          <div className="panel-body">
            <CodeBlock value={curl(`/api/v1/inventory/deployments/${d.id}`)} label="curl command" />
          </div>
        </details>
      </div>
    </div>
  );
}

function Connect({ of: d }: { of: Deployment }) {
  return (
    <section className="panel" aria-labelledby="connect">
      <div className="panel-head">
        <h2 id="connect">Connect</h2>
        {d.status === 'running' && (
          <Link to={`/deployments/${d.id}/terminal`} className="link small">
            Open a terminal here
          </Link>
        )}
      </div>
      <div className="panel-body stack">
        {d.sshCommand ? (
          <>
            <CopyField value={d.sshCommand} label="SSH command" />
            <Facts
              items={[
                ['Address', <CopyField key="a" value={d.ipAddress ?? ''} label="address" />],
                ['User and port', `${d.sshUser}, port ${d.sshPort}`],
                ['Lets in', d.sshKeys.map((k) => k.name).join(', ')],
              ]}
            />
            <Nodes of={d} />
            <HostKeys of={d} />
          </>
        ) : (
          <span className="dim">The address appears once SSH answers.</span>
        )}
      </div>
    </section>
  );
}

/** The servers of a cluster. A machine of one server has no list. */
function Nodes({ of: d }: { of: Deployment }) {
  if (d.nodes.length < 2) return null;
  return (
    <div style={{ overflowX: 'auto' }}>
      <table className="plain-table" aria-label="Nodes">
        <thead>
          <tr>
            <th scope="col">Node</th>
            <th scope="col">SSH command</th>
            <th scope="col">Private address</th>
            <th scope="col">Terminal</th>
          </tr>
        </thead>
        <tbody>
          {d.nodes.map((n) => (
            <tr key={n.index}>
              <td>{n.index}</td>
              <td>
                <CopyField
                  value={`ssh ${n.sshPort === 22 ? '' : `-p ${n.sshPort} `}${d.sshUser}@${n.ipAddress}`}
                  label={`SSH command of node ${n.index}`}
                />
              </td>
              <td>{n.privateIpAddress ?? '–'}</td>
              <td>
                {d.status === 'running' && (
                  <Link to={`/deployments/${d.id}/terminal?node=${n.index}`} className="link small">
                    Open
                  </Link>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const sources: Record<NonNullable<Deployment['sshHostKeySource']>, string> = {
  provider: 'The provider states them.',
  issued: 'Billet made the key, gave it to the machine, and saw the machine show it.',
  first_connection: 'The machine showed them when Billet first connected to it. Nobody else confirms them.',
};

function HostKeys({ of: d }: { of: Deployment }) {
  const lines = d.nodes.flatMap((n) => n.sshHostKeys);
  if (lines.length === 0) return null;
  return (
    <details>
      <summary className="small">SSH host keys</summary>
      <div style={{ marginTop: 8 }}>
        {d.sshHostKeySource && <p className="small dim">{sources[d.sshHostKeySource]}</p>}
        <CodeBlock value={lines.join('\n')} label="host keys" />
      </div>
    </details>
  );
}

function Machine({ of: d }: { of: Deployment }) {
  return (
    <section className="panel" aria-labelledby="machine">
      <div className="panel-head">
        <h2 id="machine">Machine</h2>
      </div>
      <div className="panel-body">
        <Facts
          items={[
            [
              'Deployment',
              <code key="id" className="mono">
                {d.id}
              </code>,
            ],
            [
              'Offer',
              <Link key="o" to={`/offers/${d.offerId}`} className="link mono">
                {d.offerId}
              </Link>,
            ],
            ['Asked for', <Time key="c" at={d.createdAt} />],
            ['SSH answered', <Time key="s" at={d.startedAt} />],
            ['Ends by itself', d.autoTerminateAt && !ended(d) ? <Time key="e" at={d.autoTerminateAt} /> : undefined],
            ['Ended', d.terminatedAt ? <Time key="t" at={d.terminatedAt} /> : undefined],
            ['Protected', d.terminationProtection ? 'yes: a terminate is refused' : undefined],
            ['cloud-init', d.cloudInit ? 'given' : undefined],
            [
              'Tags',
              d.tags.length
                ? d.tags.map((t) => (
                    <Link key={t} to={`/deployments?tag=${encodeURIComponent(t)}`} style={{ marginRight: 5 }}>
                      <Chip>{t}</Chip>
                    </Link>
                  ))
                : undefined,
            ],
          ]}
        />
      </div>
    </section>
  );
}
