import type { PaymentMethod } from '../../api/billing';

/** The name of a payment method: "Visa ending in 4242". */
export function methodName(m: PaymentMethod): string {
  const kind = m.brand || m.type;
  return `${kind.charAt(0).toUpperCase()}${kind.slice(1)} ending in ${m.last4}`;
}

/** When a card expires, or "" for what does not: "expires 04/2029". */
export function expiry(m: PaymentMethod): string {
  return m.expiryYear ? `expires ${String(m.expiryMonth).padStart(2, '0')}/${m.expiryYear}` : '';
}

/** How top-ups are paid, by processor. */
export const processors: Record<string, string> = {
  stripe: 'Stripe',
  transfer: 'Bank transfer',
  demo: 'Simulated',
};
