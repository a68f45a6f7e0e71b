import { describe, expect, it } from 'vitest';
import { barsOf, day, periodOf, periodsAt, seriesOf, tagKeys } from '../../src/pages/wallet/days';
import { sum } from '../../src/parts/money';

const now = Date.UTC(2026, 10, 30, 13, 5);

describe('the periods of the spending', () => {
  it('are whole days in UTC until today', () => {
    expect(periodOf('7', now)).toEqual({
      title: 'Last 7 days',
      from: Date.UTC(2026, 10, 24),
      last: Date.UTC(2026, 10, 30),
    });
  });
  it('are months, of which the present one goes on', () => {
    expect(periodOf('2026-11', now)).toEqual({
      title: 'November 2026',
      from: Date.UTC(2026, 10, 1),
      last: Date.UTC(2026, 10, 30),
      to: undefined,
    });
    expect(periodOf('2026-02', now)).toMatchObject({ last: Date.UTC(2026, 1, 28), to: Date.UTC(2026, 2, 1) });
  });
  it('are the last thirteen months', () => {
    const { months } = periodsAt(Date.UTC(2027, 0, 31));
    expect(months.map((m) => m.value).slice(0, 3)).toEqual(['2027-01', '2026-12', '2026-11']);
    expect(months.at(-1)).toEqual({ value: '2026-01', label: 'January 2026' });
  });
});

describe('the bars of the spending', () => {
  it('add up to the groups, with those beyond the colors as one', () => {
    const groups = Array.from({ length: 9 }, (_, i) => ({ key: `g${i}`, cost: 9 - i }));
    const series = seriesOf(groups, (k) => k.toUpperCase());
    expect(series.map((s) => s.name)).toEqual(['G0', 'G1', 'G2', 'G3', 'G4', 'Others']);
    const cells = groups.map((g, i) => ({ ...g, day: `2026-11-0${1 + (i % 3)}` }));
    const from = Date.UTC(2026, 10, 1);
    const bars = barsOf(series, cells, from, from + 3 * day, [{ day: '2026-11-04', charges: 2.5 }]);
    expect(bars.map((b) => b.label)).toEqual(['Nov 1', 'Nov 2', 'Nov 3', 'Nov 4']);
    expect(sum(...bars.flatMap((b) => b.parts))).toBe(45_000_000);
    expect(bars.map((b) => b.parts.at(-1))).toEqual([3_000_000, 2_000_000, 5_000_000, 0]);
    expect(bars.at(-1)?.expected).toBe(2_500_000);
  });
  it('are empty without costs', () => {
    expect(barsOf(seriesOf([], String), [], 0, day)).toMatchObject([{ parts: [] }, { parts: [] }]);
  });
});

describe('the keys of tags', () => {
  it('are what is before a colon or an equals sign', () => {
    expect(tagKeys(['team:b', 'env=x', 'team=a', 'plain', ':x'])).toEqual(['env', 'team']);
  });
});
