import { Skeleton } from '@mantine/core';
import { usePriceHistory } from '../../api/offers';
import { Steps } from '../../parts/Chart';
import { ErrorBox } from '../../parts/ErrorBox';
import { formatMoney, micro } from '../../parts/money';
import { Ago } from '../../parts/Time';

/** What the offer has cost in the last thirty days. */
export function History({ offerId, height }: { offerId: string; height?: number }) {
  const history = usePriceHistory(offerId);
  if (history.isError && !history.data) return <ErrorBox error={history.error} />;
  if (!history.data) return <Skeleton height={height ?? 90} />;
  const { points, to } = history.data;
  const prices = points.map((p) => micro(p.hourlyPrice));
  const low = prices.length ? formatMoney(prices.reduce((a, b) => (b < a ? b : a))) : '';
  const high = prices.length ? formatMoney(prices.reduce((a, b) => (b > a ? b : a))) : '';
  const first = points[0];
  if (!first) return <div className="dim small">Nothing is known yet.</div>;
  const words = low === high ? `${low} all the time` : `between ${low} and ${high}`;
  return (
    <div>
      <Steps
        points={points.map((p) => ({ at: Date.parse(p.at), value: micro(p.hourlyPrice), solid: p.available }))}
        until={Date.parse(to)}
        label={`Price: ${words}`}
        height={height}
      />
      <div
        className="small dim"
        style={{ display: 'flex', justifyContent: 'space-between', gap: 8, marginTop: 6, flexWrap: 'wrap' }}
      >
        <span>{words}</span>
        <span>
          since <Ago at={first.at} />
          {points.some((p) => !p.available) && '; dashed: sold out'}
        </span>
      </div>
    </div>
  );
}
