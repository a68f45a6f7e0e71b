// What a promo code's fields mean, apart from how they are shown.

import type { Schema } from '../../api/client';
import { formatNumber } from '../../parts/locale';

export type PromoCode = Schema['PromoCode'];

export type PromoState = 'active' | 'disabled' | 'scheduled' | 'expired' | 'used up';

/** Whether tenants can redeem the code now, and else why not. */
export function stateOf(c: PromoCode, now: number): PromoState {
  if (!c.enabled) return 'disabled';
  if (c.validUntil !== null && Date.parse(c.validUntil) <= now) return 'expired';
  if (c.maxRedemptions !== null && c.redemptions >= c.maxRedemptions) return 'used up';
  return c.validFrom !== null && Date.parse(c.validFrom) > now ? 'scheduled' : 'active';
}

/** "12 of 200", or "12" without a maximum. */
export function redeemed(c: PromoCode): string {
  const n = formatNumber(c.redemptions);
  return c.maxRedemptions === null ? n : `${n} of ${formatNumber(c.maxRedemptions)}`;
}

/** "1 day", "90 days". */
export function days(n: number): string {
  return n === 1 ? '1 day' : `${formatNumber(n)} days`;
}
