import { Skeleton } from '@mantine/core';
import { useGet } from '../../api/hooks';
import { PriceLine } from '../../parts/Chart';
import { ErrorBox } from '../../parts/ErrorBox';
import { formatMoney, micro } from '../../parts/money';
import { Ago } from '../../parts/Time';

/** The offer's price in the last 30 days. */
export function History({ offerId, height }: { offerId: string; height?: number }) {
  const init = { params: { path: { offerId } } };
  const history = useGet('/api/v1/inventory/offers/{offerId}/price-history', init, { staleTime: 60_000 });
  if (history.isError && !history.data) return <ErrorBox error={history.error} />;
  if (!history.data) return <Skeleton height={height ?? 90} />;
  const { points, to } = history.data;
  const prices = points.map((p) => micro(p.hourlyPrice));
  const low = prices.length ? formatMoney(prices.reduce((a, b) => (b < a ? b : a))) : '';
  const high = prices.length ? formatMoney(prices.reduce((a, b) => (b > a ? b : a))) : '';
  const first = points[0];
  if (!first) return <div className="dim small">No price history yet.</div>;
  const summary = low === high ? `${low}, unchanged` : `${low} to ${high}`;
  return (
    <div>
      <PriceLine
        points={points.map((p) => ({ at: Date.parse(p.at), value: micro(p.hourlyPrice), solid: p.available }))}
        until={Date.parse(to)}
        label={`Price: ${summary}`}
        height={height}
      />
      <div
        className="small dim"
        style={{ display: 'flex', justifyContent: 'space-between', gap: 8, marginTop: 6, flexWrap: 'wrap' }}
      >
        <span>{summary}</span>
        <span>
          tracked since <Ago at={first.at} />
          {points.some((p) => !p.available) && ' · dashed: sold out'}
        </span>
      </div>
    </div>
  );
}
