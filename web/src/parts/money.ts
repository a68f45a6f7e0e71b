// Money is an integer of micro-dollars in the dashboard. The API's numbers have at most six
// decimals, so that one rounding on the way in is exact up to nine billion dollars, and sums and
// products of integers stay exact.

import { formatNumber } from './locale';

declare const unit: unique symbol;
/** An integer of millionths of a US dollar. */
export type Micro = number & { readonly [unit]: 'micro-dollars' };

/** A number of the API's JSON, in US dollars, as micro-dollars. */
export function micro(dollars: number): Micro {
  return Math.round(dollars * 1_000_000) as Micro;
}

export function sum(...amounts: Micro[]): Micro {
  return amounts.reduce((a, b) => a + b, 0) as Micro;
}

export function minus(a: Micro, b: Micro): Micro {
  return (a - b) as Micro;
}

/** An amount times a whole number, such as a price per GB times GB. */
export function times(amount: Micro, whole: number): Micro {
  return (amount * Math.round(whole)) as Micro;
}

/** amount × part ÷ whole, rounded half up as in the API. */
export function share(amount: Micro, part: number, whole: number): Micro {
  const n = BigInt(amount) * BigInt(Math.round(part)) * 2n + BigInt(Math.round(whole));
  const d = BigInt(Math.round(whole)) * 2n;
  const q = n / d;
  return Number(n % d < 0n ? q - 1n : q) as Micro;
}

/** "$1,234.50": the exact amount, with at least `least` decimals (2) and at most `most` (6). */
export function formatMoney(amount: Micro, least = 2, most = 6): string {
  const scale = 10 ** (6 - most);
  const whole = Math.round(Math.abs(amount) / scale) * scale;
  const dollars = Math.trunc(whole / 1_000_000);
  let cents = String(whole % 1_000_000).padStart(6, '0');
  while (cents.length > least && cents.endsWith('0')) cents = cents.slice(0, -1);
  const sign = amount < 0 && whole > 0 ? '−' : '';
  return `${sign}$${formatNumber(dollars, 0)}${cents ? `.${cents}` : ''}`;
}

/** A total to the cent: "$1,234.50". What is less than a cent but not nothing is "<$0.01". */
export function formatTotal(amount: Micro): string {
  if (amount !== 0 && Math.abs(amount) < 10_000) return amount < 0 ? '−<$0.01' : '<$0.01';
  return formatMoney(amount, 2, 2);
}

/** What a user typed as dollars ("12.5", "$1,000"), or null if it is no amount. */
export function parseMoney(text: string): Micro | null {
  const match = /^\$?\s*(\d+|\d{1,3}(?:,\d{3})+)(?:\.(\d{1,6}))?$/.exec(text.trim());
  if (!match) return null;
  const dollars = Number((match[1] ?? '').replaceAll(',', ''));
  return (dollars * 1_000_000 + Number((match[2] ?? '').padEnd(6, '0'))) as Micro;
}

/** An amount for a JSON body, in US dollars. */
export function dollars(amount: Micro): number {
  return amount / 1_000_000;
}
