import type { Schema } from '../../api/client';
import { useAll, useSend, withId } from '../../api/hooks';
import { EmptyState } from '../../parts/EmptyState';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import { useListRows } from '../../parts/rows';
import { Ago } from '../../parts/Time';
import { toast } from '../../parts/toast';

type Job = Schema['FailingJob'];

/** What it means while a job of the kind fails. */
const meanings: Record<string, string> = {
  deployment: 'A deployment is not launched, monitored or terminated.',
  watch: 'Lost and orphaned machines at the provider are not found.',
  volume: 'A volume is not created, attached or deleted.',
  'volume-watch': 'Orphaned volumes at the provider are not found.',
  'catalog.sync': 'Offers and prices of the provider are outdated.',
  'meter-sweep': 'Hours that are due are not charged.',
  'past-due': 'A past-due account is not warned, or its resources are not terminated.',
  'issue-removal': 'An orphaned resource is not terminated.',
  webhook: 'Events are not delivered to an endpoint.',
  'mail-send': 'An email is not sent.',
  'low-balance': 'Accounts are not warned of a low balance.',
  'low-balance-threshold': 'An account is not warned of a low balance.',
  'idempotency.purge': 'Old responses are not deleted. The database grows.',
  'webhook-purge': 'Old webhook deliveries are not deleted. The database grows.',
  'mail-purge': 'Old emails are not deleted. The database grows.',
  'announcement-mail': 'Emails of an announcement are not queued.',
  'incident-watch': 'Incidents of providers are neither found nor ended.',
  'incident-tell': 'Accounts are not told of an outage of a provider.',
  'announcement-purge': 'Old announcements are not deleted. The database grows.',
};

export function Jobs() {
  const retry = useSend('post', '/api/v1/operator/jobs/{id}/retry');
  const rows = useListRows(useAll('/api/v1/operator/jobs', { state: 'failing' }, { refetchInterval: 20_000 }), {
    sorts: { kind: (j) => j.kind, attempts: (j) => j.attempts, nextAt: (j) => j.nextAt },
    text: (j) => `${j.kind} ${j.subject} ${j.lastError}`,
  });
  return (
    <>
      {rows.count > 0 && (
        <p className="dim" style={{ marginBottom: 12 }}>
          These background jobs failed and are retried with growing pauses. Retry one now after you have removed the
          cause. If it fails again, the pauses continue.
        </p>
      )}
      <ResourceTable
        label="Failing jobs"
        columns={columns}
        rows={rows}
        rowKey={(j) => j.id}
        name={(j) => `${j.kind} ${j.subject}`}
        actions={(j) => [
          {
            text: 'Retry now',
            run: () => retry.mutate(withId(j.id), { onSuccess: () => toast(`${j.kind} is retried now`) }),
          },
        ]}
        empty={
          <EmptyState title="No failing jobs" api={{ path: '/api/v1/operator/jobs?state=failing' }}>
            Failed jobs retry automatically with backoff. Until they succeed, they are listed here with their last
            error.
          </EmptyState>
        }
      />
    </>
  );
}

const columns: Column<Job>[] = [
  {
    key: 'job',
    head: 'Job',
    sort: 'kind',
    cell: (j) => (
      <>
        <span className="cell-main strong">{j.kind}</span>
        <span className="cell-sub mono">{j.subject}</span>
        {meanings[j.kind] && <span className="cell-sub wrap">{meanings[j.kind]}</span>}
      </>
    ),
  },
  { key: 'attempts', head: 'Attempts', sort: 'attempts', width: '100px', end: true, cell: (j) => j.attempts },
  { key: 'next', head: 'Next attempt', sort: 'nextAt', width: '140px', cell: (j) => <Ago at={j.nextAt} /> },
  {
    key: 'error',
    head: 'Last error',
    width: '45%',
    cell: (j) => <span style={{ overflowWrap: 'anywhere' }}>{j.lastError}</span>,
  },
];
