// The limits at which a deployment auto-terminates.

import type { Deployment } from '../api/deployments';
import { dollars, parseMoney } from './money';

/** What a user typed as the limits; "" for none. */
export interface LimitTexts {
  maxSpend: string;
  maxRuntimeMinutes: string;
}

/** The limits for a body, null for none. `errors` has a message for each text that is no limit. */
export function limitsOf(texts: LimitTexts) {
  const errors: Partial<LimitTexts> = {};
  const spend = texts.maxSpend.trim();
  const amount = spend ? parseMoney(spend) : null;
  if (spend && !amount) errors.maxSpend = 'Enter an amount above $0 with at most six decimals.';
  const runtime = texts.maxRuntimeMinutes.trim();
  const minutes = /^\d{1,9}$/.test(runtime) ? Number(runtime) : 0;
  if (runtime && !minutes) errors.maxRuntimeMinutes = 'Enter a whole number of minutes above 0.';
  return { maxSpend: amount ? dollars(amount) : null, maxRuntimeMinutes: minutes || null, errors };
}

/** When the deployment auto-terminates, as far as it is known; null for never. */
export function autoTerminatesAt(d: Pick<Deployment, 'endsAt' | 'autoTerminateAt'>): string | null {
  return d.endsAt ?? d.autoTerminateAt;
}
