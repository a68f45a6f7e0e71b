import { Link } from 'react-router';
import type { Offer } from '../../api/offers';
import { formatNumber } from '../../parts/locale';
import { Money } from '../../parts/Money';
import { formatMoney, micro } from '../../parts/money';
import { Chip } from '../../parts/Status';
import { Ago } from '../../parts/Time';
import type { Change } from './changes';
import { typeNames } from './filters';

export function TypeChip({ type }: { type: Offer['instanceType'] }) {
  return <Chip tone={type === 'SPOT' ? 'warn' : type === 'CLUSTER' ? 'busy' : 'idle'}>{typeNames[type]}</Chip>;
}

/** When the provider last responded, where it does not now. */
export function Outdated({ offer: o }: { offer: Offer }) {
  if (!o.stale) return null;
  return (
    <span className="nowrap dim" title="Provider not responding">
      <Chip tone="warn">outdated</Chip> <Ago at={o.asOf} />
    </span>
  );
}

export function OfferName({ offer: o }: { offer: Offer }) {
  return (
    <>
      <Link to={`/offers/${o.id}`} className="plain-link">
        {o.gpuCount} × {o.gpuType.replace(/^NVIDIA /, '')}
      </Link>
      <span className="cell-sub">
        {o.gpuMemoryGb} GB each · {o.gpuType.startsWith('NVIDIA') ? 'NVIDIA' : o.gpuType.split(' ')[0]}
      </span>
    </>
  );
}

export function Price({ offer: o, change, per }: { offer: Offer; change?: Change; per?: string }) {
  const before = change?.priceBefore;
  const up = before !== undefined && o.hourlyPrice > before;
  return (
    <span className={before === undefined ? undefined : up ? 'flash flash-up' : 'flash flash-down'}>
      <b>
        <Money usd={o.hourlyPrice} per={per} rate />
      </b>
      {before !== undefined && (
        <span className="flash-note" title={`was ${formatMoney(micro(before))}`}>
          {up ? '▲' : '▼'}
          <span className="sr"> was {formatMoney(micro(before))}</span>
        </span>
      )}
    </span>
  );
}

/** The stock; `words` adds the unit where no head has it. */
export function Stock({ offer: o, change, words }: { offer: Offer; change?: Change; words?: boolean }) {
  const changed = change && (change.stockBefore !== undefined || change.availableBefore !== undefined);
  return (
    <span className={changed ? 'flash flash-stock' : undefined}>
      {!o.available ? (
        <span className="dim">Sold out</span>
      ) : o.stock === null ? (
        <span>Available</span>
      ) : o.stock <= 3 ? (
        <span className="low">{o.stock} left</span>
      ) : (
        <span>
          {formatNumber(o.stock)}
          {words && ' available'}
        </span>
      )}
      {change?.stockBefore !== undefined && change.stockBefore !== null && (
        <span className="sr"> was {change.stockBefore}</span>
      )}
    </span>
  );
}

/** 2,048 GB as "2.05 TB". All sizes are decimal. */
export function size(gb: number): string {
  if (gb < 1000) return `${formatNumber(gb)} GB`;
  return `${formatNumber(gb / 1000, 2)} TB`;
}
