import { Button } from '@mantine/core';
import { useNow } from '../../api/clock';
import { useGet, useSend } from '../../api/hooks';
import type { Offer } from '../../api/offers';
import { ErrorBox } from '../../parts/ErrorBox';
import { Money } from '../../parts/Money';
import { remaining } from '../../parts/time';

/** The quote with that id while it can be used; undefined for none. */
export function useQuote(id: string) {
  const quote = useGet(
    '/api/v1/inventory/quotes/{quoteId}',
    { params: { path: { quoteId: id } } },
    { enabled: id !== '', staleTime: 60_000, retry: false },
  ).data;
  const now = useNow();
  const left = quote && id !== '' ? Date.parse(quote.expiresAt) - now : 0;
  return { quote: quote && id !== '' && left > 0 && quote.usedBy === null ? quote : undefined, left };
}

interface Props {
  offer: Offer;
  id: string;
  /** Whether the request names several offers: a quote is for one. */
  several: boolean;
  onChange: (id: string) => void;
}

/** Fixes the price for ten minutes, and shows for how much longer. */
export function Quote({ offer: o, id, several, onChange }: Props) {
  const { quote, left } = useQuote(id);
  const lock = useSend('post', '/api/v1/inventory/quotes');
  if (several) return <div className="small dim">A price can be locked for a deployment without fallback offers.</div>;
  if (quote)
    return (
      <div className="card-row">
        <span>
          <Money usd={quote.hourlyPrice} per="/hr" /> locked
          <span className="cell-sub" role="timer">
            {remaining(left)} left
          </span>
        </span>
        <Button size="compact-sm" variant="subtle" color="gray" onClick={() => onChange('')}>
          Remove lock
        </Button>
      </div>
    );
  return (
    <>
      <div className="card-row">
        <span className="small dim">
          {id ? 'The locked price has expired.' : 'The price can change until you deploy.'}
        </span>
        <Button
          size="compact-sm"
          variant="default"
          loading={lock.isPending}
          disabled={!o.available}
          onClick={() => lock.mutate({ body: { offerId: o.id } }, { onSuccess: (q) => onChange(q.quoteId) })}
        >
          Lock price for 10 min
        </Button>
      </div>
      <ErrorBox error={lock.error} />
    </>
  );
}
