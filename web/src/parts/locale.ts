// The one locale of every page. Texts are US English and money is US dollars, so dates and numbers
// are too, whatever the browser prefers. Only the time zone is the reader's. All formatting is
// here; test/unit/locale.test.ts refuses it elsewhere.

const locale = 'en-US';

/** The reader's time zone, such as Europe/Berlin. */
export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** A formatter of times, in the reader's zone unless the options name another. */
export function dateFormat(options: Intl.DateTimeFormatOptions): (at: string | number) => string {
  const format = new Intl.DateTimeFormat(locale, options);
  return (at) => format.format(new Date(at));
}

/** "1,234.5": with at most `most` decimals. What rounds to zero has no sign. */
export function formatNumber(n: number, most = 3): string {
  return n.toLocaleString(locale, { maximumFractionDigits: most, signDisplay: 'negative' });
}

/** 12.5 as "12.5%", and -0.2 as "−0.2%" with the minus sign of amounts. */
export function formatPercent(percent: number): string {
  return `${formatNumber(percent, 1).replace('-', '−')}%`;
}

const collator = new Intl.Collator(locale, { numeric: true });

/** Orders names with numbers by their value: rack 2 before rack 10. */
export const compareNames = (a: string, b: string): number => collator.compare(a, b);

const regions = new Intl.DisplayNames(locale, { type: 'region' });

/** The name of a country by its code of two letters; what is no code stays as it is. */
export function countryName(code: string): string {
  return /^[A-Z]{2}$/.test(code) ? (regions.of(code) ?? code) : code;
}
