import type { Schema } from '../../api/client';
import { asApiError } from '../../api/error';
import { useGet } from '../../api/hooks';
import { Loaded } from '../../parts/Loaded';
import { formatNumber } from '../../parts/locale';
import { Money } from '../../parts/Money';
import { NotPublic } from './NotPublic';
import { PublicPage } from './PublicPage';

type Group = Schema['PriceGroup'];

export default function Prices() {
  const prices = useGet('/api/v1/public/prices', undefined, { refetchInterval: 60_000, retry: false });
  if (prices.error && asApiError(prices.error).status === 404) return <NotPublic title="Prices" />;
  return (
    <PublicPage title="Prices" about="Current prices by GPU type, in US dollars. Machines are charged by the hour.">
      <Loaded query={prices}>
        {({ gpuTypes }) =>
          gpuTypes.length === 0 ? (
            <div className="panel panel-body dim">Nothing is offered at the moment.</div>
          ) : (
            <div className="price-groups">
              {gpuTypes.map((g) => (
                <GroupPanel key={`${g.gpuType} ${g.gpuMemoryGb}`} of={g} />
              ))}
            </div>
          )
        }
      </Loaded>
    </PublicPage>
  );
}

function GroupPanel({ of: g }: { of: Group }) {
  const available = g.availableOffers > 0;
  return (
    <details className="panel price-group">
      <summary>
        <h2>{g.gpuType}</h2>
        <span className="price-amount">
          {available ? (
            <>
              from <Money usd={g.lowestHourlyPricePerGpu} per="/GPU/hr" />
            </>
          ) : (
            <span className="dim">Sold out</span>
          )}
        </span>
        <span className="dim">
          {formatNumber(g.gpuMemoryGb)} GB · {counts(g.gpuCounts)} ·{' '}
          {g.regions.length === 1 ? '1 region' : `${formatNumber(g.regions.length)} regions`}
        </span>
        <span className="dim">{offers(g.availableOffers)} available</span>
      </summary>
      <table className="table" aria-label={`Regions with ${g.gpuType}, ${g.gpuMemoryGb} GB`}>
        <thead>
          <tr>
            <th>Region</th>
            <th>Provider</th>
            <th data-end>Available</th>
            <th data-end>From, per GPU</th>
          </tr>
        </thead>
        <tbody>
          {g.regions.map((r) => (
            <tr key={`${r.provider} ${r.region}`}>
              <td>
                {r.regionName}
                {r.country && <span className="dim"> {r.country}</span>}
              </td>
              <td>{r.providerName}</td>
              <td data-end>{formatNumber(r.availableOffers)}</td>
              <td data-end>
                {r.availableOffers > 0 ? (
                  <Money usd={r.lowestHourlyPricePerGpu} per="/hr" />
                ) : (
                  <span className="dim">Sold out</span>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}

function counts(all: number[]): string {
  if (all.length === 1) return all[0] === 1 ? '1 GPU' : `${all[0]} GPUs`;
  return `${all[0]} to ${all.at(-1)} GPUs`;
}

function offers(n: number): string {
  return n === 1 ? '1 offer' : `${formatNumber(n)} offers`;
}
