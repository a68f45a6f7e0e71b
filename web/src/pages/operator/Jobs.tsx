import type { Schema } from '../../api/client';
import { useAll } from '../../api/hooks';
import { EmptyState } from '../../parts/EmptyState';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import { useListRows } from '../../parts/rows';
import { Ago } from '../../parts/Time';

type Job = Schema['FailingJob'];

export function Jobs() {
  const rows = useListRows(useAll('/api/v1/operator/jobs', { state: 'failing' }, { refetchInterval: 20_000 }), {
    sorts: { kind: (j) => j.kind, attempts: (j) => j.attempts, nextAt: (j) => j.nextAt },
    text: (j) => `${j.kind} ${j.subject} ${j.lastError}`,
  });
  return (
    <ResourceTable
      label="Failing jobs"
      columns={columns}
      rows={rows}
      rowKey={(j) => `${j.kind} ${j.subject}`}
      empty={
        <EmptyState title="No failing jobs" api={{ path: '/api/v1/operator/jobs?state=failing' }}>
          Failed jobs retry automatically with backoff. Until they succeed, they are listed here with their last error.
        </EmptyState>
      }
    />
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
