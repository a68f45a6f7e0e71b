// What changed in price or stock since the last read, so that it can be highlighted.

import { useEffect, useState } from 'react';
import type { Offer } from '../../api/offers';

export interface Change {
  priceBefore?: number;
  stockBefore?: number | null;
  availableBefore?: boolean;
  at: number;
}

const highlighted = 20_000;
const known = new Map<string, { hourlyPrice: number; stock: number | null; available: boolean; asOf: string }>();
const changes = new Map<string, Change>();

/**
 * The change of each offer in the last seconds. It outlives the page: returning shows what changed
 * meanwhile.
 */
export function useChanges(offers: Offer[]): (id: string) => Change | undefined {
  const [, render] = useState(0);
  useEffect(() => {
    let found = false;
    for (const o of offers) {
      const old = known.get(o.id);
      // A cached page may return later. Only newer data counts.
      if (old && old.asOf >= o.asOf) continue;
      known.set(o.id, { hourlyPrice: o.hourlyPrice, stock: o.stock, available: o.available, asOf: o.asOf });
      if (!old) continue;
      const change: Change = { at: Date.now() };
      if (old.hourlyPrice !== o.hourlyPrice) change.priceBefore = old.hourlyPrice;
      if (old.stock !== o.stock) change.stockBefore = old.stock;
      if (old.available !== o.available) change.availableBefore = old.available;
      if (Object.keys(change).length === 1) continue;
      changes.set(o.id, change);
      found = true;
    }
    if (!found) return;
    render((n) => n + 1);
    const timer = setTimeout(() => render((n) => n + 1), highlighted);
    return () => clearTimeout(timer);
  }, [offers]);
  return (id) => {
    const change = changes.get(id);
    return change && Date.now() - change.at < highlighted ? change : undefined;
  };
}
