import type { TaxRate } from '../../../api/billingSettings';

export type RateState = 'in effect' | 'planned' | 'past' | 'ended';

/** A rate with the day before which it applies; null until further notice. */
export interface PlacedRate extends TaxRate {
  until: string | null;
  state: RateState;
}

/** The rates by country and day, each with its end and its state on a day such as "2028-02-29". */
export function placeRates(rates: TaxRate[], today: string): PlacedRate[] {
  const ordered = rates.toSorted((a, b) => compare(a.country, b.country) || compare(a.from, b.from));
  return ordered.map((rate, i) => {
    const next = ordered[i + 1];
    const until = next?.country === rate.country ? next.from : null;
    return { ...rate, until, state: stateOf(rate, until, today) };
  });
}

function stateOf(rate: TaxRate, until: string | null, today: string): RateState {
  if (rate.from > today) return 'planned';
  if (until !== null && until <= today) return 'past';
  return rate.ended ? 'ended' : 'in effect';
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Reports whether two entries are for the same country and day. */
export function sameRate(a: TaxRate, b: TaxRate): boolean {
  return a.country === b.country && a.from === b.from;
}

/** What a user typed as percent ("19", "8.1 %"), or null if it is no rate from 0 to 50. */
export function parseRate(text: string): number | null {
  const match = /^(\d{1,2}(?:\.\d{1,2})?)\s*%?$/.exec(text.trim());
  const percent = match ? Number(match[1]) : Number.NaN;
  return percent <= 50 ? percent : null;
}
