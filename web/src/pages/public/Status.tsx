import type { Schema } from '../../api/client';
import { asApiError } from '../../api/error';
import { useGet } from '../../api/hooks';
import { Loaded } from '../../parts/Loaded';
import { formatNumber, formatPercent } from '../../parts/locale';
import { Panel } from '../../parts/Panel';
import { Status as StatusText } from '../../parts/Status';
import { Elapsed, Time } from '../../parts/Time';
import { duration } from '../../parts/time';
import { NotPublic } from './NotPublic';
import { PublicPage } from './PublicPage';

type State = Schema['PublicStatus'];
type Provider = Schema['ProviderStatus'];
type Incident = Schema['PublicIncident'];

export default function Status() {
  const status = useGet('/api/v1/public/status', undefined, { refetchInterval: 30_000, retry: false });
  if (status.error && asApiError(status.error).status === 404) return <NotPublic title="Status" />;
  return (
    <PublicPage title="Status" about="Current status of this cloud and its providers, and recent launches.">
      <Loaded query={status}>
        {(s) => (
          <>
            <Now of={s} />
            <Announced all={s.announcements} />
            <h2 className="public-section">Providers</h2>
            {s.providers.length === 0 && <div className="panel panel-body dim">No provider is connected.</div>}
            <div className="status-providers">
              {s.providers.map((p) => (
                <ProviderPanel key={p.slug} of={p} />
              ))}
            </div>
            <h2 className="public-section">Incidents in the last 30 days</h2>
            <Incidents all={s.incidents} />
          </>
        )}
      </Loaded>
    </PublicPage>
  );
}

/** What to expect now, in one line. */
function summary(s: State): { tone: 'good' | 'warn' | 'bad'; text: string } {
  if (s.server.status !== 'operational') return { tone: 'bad', text: 'Some functions of this cloud are unavailable.' };
  const down = s.providers.filter((p) => p.status === 'down');
  if (s.providers.length > 0 && down.length === s.providers.length)
    return { tone: 'bad', text: 'No provider is responding.' };
  const impaired = s.providers.filter((p) => p.status !== 'up');
  if (impaired.length === 0) return { tone: 'good', text: 'Everything works.' };
  if (impaired.length === 1) return { tone: 'warn', text: `${impaired[0]?.name} is not responding.` };
  return { tone: 'warn', text: `${formatNumber(impaired.length)} providers are not responding.` };
}

function Now({ of: s }: { of: State }) {
  const { tone, text } = summary(s);
  return (
    <div className="status-now" data-tone={tone} role="status">
      <b>{text}</b>
      <span className="small dim">
        As of <Time at={s.asOf} />
      </span>
    </div>
  );
}

function Announced({ all }: { all: State['announcements'] }) {
  if (all.length === 0) return null;
  return (
    <>
      <h2 className="public-section">Announcements</h2>
      <ul className="panel incident-list" aria-label="Announcements">
        {all.map((n) => (
          <li key={n.id}>
            <span className="strong">{n.title}</span>
            {n.text && <span style={{ whiteSpace: 'pre-line', overflowWrap: 'anywhere' }}>{n.text}</span>}
            <span className="small dim">
              From <Time at={n.startsAt} /> until <Time at={n.endsAt} />
            </span>
          </li>
        ))}
      </ul>
    </>
  );
}

function ProviderPanel({ of: p }: { of: Provider }) {
  return (
    <div className="status-provider">
      <Panel
        title={p.name}
        bare
        actions={
          <span style={{ display: 'flex', gap: 8, alignItems: 'center' }}>
            {p.paused && <StatusText value="paused" />}
            <StatusText value={p.status} />
          </span>
        }
      >
        {p.regions.length === 0 ? (
          <div className="panel-body dim">No regions.</div>
        ) : (
          <table className="table" aria-label={`Regions of ${p.name}`}>
            <thead>
              <tr>
                <th>Region</th>
                <th data-end>Launches</th>
                <th data-end>Started</th>
                <th data-end>Time to SSH</th>
              </tr>
            </thead>
            <tbody>
              {p.regions.map((r) => (
                <tr key={r.slug}>
                  <td>
                    {r.name}
                    {r.country && <span className="dim"> {r.country}</span>}
                  </td>
                  <td data-end>{formatNumber(r.deployments)}</td>
                  <td data-end>{r.reachedSsh === null ? '–' : formatPercent(r.reachedSsh * 100)}</td>
                  <td data-end>{r.medianSecondsToSsh === null ? '–' : duration(r.medianSecondsToSsh * 1000)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Panel>
    </div>
  );
}

const kinds: Record<Incident['kind'], (name: string) => string> = {
  no_answer: (name) => `${name} did not respond`,
  paused: (name) => `${name} was paused: nothing new was launched there`,
};

function Incidents({ all }: { all: Incident[] }) {
  if (all.length === 0) return <div className="panel panel-body dim">No incidents.</div>;
  return (
    <ul className="panel incident-list" aria-label="Incidents">
      {all.map((i) => (
        <li key={i.id}>
          <span className="strong">{kinds[i.kind](i.providerName)}</span>
          <span className="small dim">
            From <Time at={i.startedAt} />
            {i.endedAt ? (
              <>
                {' '}
                until <Time at={i.endedAt} />, for <Elapsed since={i.startedAt} until={i.endedAt} />
              </>
            ) : (
              ', and ongoing'
            )}
          </span>
        </li>
      ))}
    </ul>
  );
}
