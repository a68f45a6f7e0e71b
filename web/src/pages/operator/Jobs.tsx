import { useFailingJobs } from '../../api/operator';
import { EmptyState } from '../../parts/EmptyState';
import { ErrorBox } from '../../parts/ErrorBox';
import { PageSkeleton } from '../../parts/Skeletons';
import '../../parts/table.css';
import { Ago } from '../../parts/Time';

export function Jobs() {
  const jobs = useFailingJobs();
  if (!jobs.data)
    return jobs.isError ? <ErrorBox error={jobs.error} retry={() => void jobs.refetch()} /> : <PageSkeleton />;
  if (jobs.data.length === 0)
    return (
      <EmptyState title="No job is failing" api={{ path: '/api/v1/operator/jobs?state=failing' }}>
        Work that did not succeed is tried again by itself, later each time. Until it does, it is listed here with its
        last error.
      </EmptyState>
    );
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls sideways, which must work by keyboard too
    <section className="panel table-wrap" aria-label="Failing jobs" tabIndex={0}>
      <table className="plain-table">
        <thead>
          <tr>
            <th scope="col">Job</th>
            <th scope="col" data-end>
              Tries
            </th>
            <th scope="col">Next</th>
            <th scope="col">Last error</th>
          </tr>
        </thead>
        <tbody>
          {jobs.data.map((j) => (
            <tr key={`${j.kind} ${j.subject}`}>
              <td>
                <span className="strong">{j.kind}</span>
                <span className="cell-sub mono">{j.subject}</span>
              </td>
              <td data-end>{j.attempts}</td>
              <td>
                <Ago at={j.nextAt} />
              </td>
              <td style={{ overflowWrap: 'anywhere' }}>{j.lastError}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
