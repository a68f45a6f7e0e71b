import { useOperatorProviders } from '../../api/operator';
import { ErrorBox } from '../../parts/ErrorBox';
import { formatPercent } from '../../parts/locale';
import { PageSkeleton } from '../../parts/Skeletons';
import { Status } from '../../parts/Status';
import '../../parts/table.css';
import { Ago } from '../../parts/Time';

export function Providers() {
  const providers = useOperatorProviders();
  if (!providers.data)
    return providers.isError ? (
      <ErrorBox error={providers.error} retry={() => void providers.refetch()} />
    ) : (
      <PageSkeleton />
    );
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls sideways, which must work by keyboard too
    <section className="panel table-wrap" aria-label="Providers" tabIndex={0}>
      <table className="plain-table">
        <thead>
          <tr>
            <th scope="col">Provider</th>
            <th scope="col">Health</th>
            <th scope="col">Offers read</th>
            <th scope="col" data-end>
              Offers
            </th>
            <th scope="col" data-end>
              Machines
            </th>
            <th scope="col" data-end>
              Deployments
            </th>
            <th scope="col" data-end>
              Markup
            </th>
          </tr>
        </thead>
        <tbody>
          {providers.data.map((p) => (
            <tr key={p.slug}>
              <td>
                <span className="strong">{p.name}</span>
                <span className="cell-sub mono">{p.slug}</span>
              </td>
              <td>
                <Status value={p.status} />
                {p.lastError && (
                  <span className="cell-sub" title={p.lastError}>
                    {p.consecutiveFailures} in a row: {p.lastError}
                  </span>
                )}
              </td>
              <td>
                <Ago at={p.lastSyncAt} never="never" />
                {p.stale && <span className="cell-sub">may be old</span>}
              </td>
              <td data-end>
                {p.available} of {p.offers}
              </td>
              <td data-end>{p.machines}</td>
              <td data-end>{p.deployments}</td>
              <td data-end>{p.markupPercent === null ? '–' : formatPercent(p.markupPercent)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
