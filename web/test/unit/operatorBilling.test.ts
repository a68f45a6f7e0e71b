import { describe, expect, it } from 'vitest';
import { arrivalText } from '../../src/pages/operator/billing/arrival';
import { parseLines, sumOfLines } from '../../src/pages/operator/billing/creditLines';
import { parseRate, placeRates } from '../../src/pages/operator/billing/rates';
import { micro } from '../../src/parts/money';

describe('what is said before a transfer is confirmed', () => {
  for (const [asked, arrived, text] of [
    [100, 100, '$100.00 is credited, as asked for.'],
    [100, 98.5, '$98.50 is credited, $1.50 less than asked for.'],
    [100, 100.01, '$100.01 is credited, $0.01 more than asked for.'],
  ] as const)
    it(text, () => expect(arrivalText(micro(asked), micro(arrived))).toContain(text));
});

describe('lines of a credit note', () => {
  const line = (id: number, text: string, amount: string) => ({ id, text, amount });

  it('are complete with a text and an amount above zero', () => {
    expect(parseLines([line(0, ' Outage ', '19.92')])).toEqual([{ text: 'Outage', amount: 19_920_000 }]);
    for (const wrong of [line(1, '', '1'), line(1, ' ', '1'), line(1, 'x', ''), line(1, 'x', '0'), line(1, 'x', '-1')])
      expect(parseLines([line(0, 'Outage', '19.92'), wrong])).toBeNull();
  });

  it('are added up without those that cannot be read', () => {
    expect(sumOfLines([line(0, '', '0.1'), line(1, '', '0.2'), line(2, '', 'x')])).toBe(300_000);
  });
});

describe('tax rates', () => {
  it('have the state of the day', () => {
    const rates = [
      { country: 'FR', from: '2014-01-01', percent: 20 },
      { country: 'DE', from: '2021-01-01', percent: 19 },
      { country: 'DE', from: '2020-07-01', percent: 16 },
      { country: 'DE', from: '2029-01-01', percent: 20 },
      { country: 'FR', from: '2028-01-01', percent: 0, ended: true },
    ];
    const placed = (today: string) => placeRates(rates, today).map((r) => [r.country, r.from, r.until, r.state]);
    expect(placed('2028-02-29')).toEqual([
      ['DE', '2020-07-01', '2021-01-01', 'past'],
      ['DE', '2021-01-01', '2029-01-01', 'in effect'],
      ['DE', '2029-01-01', null, 'planned'],
      ['FR', '2014-01-01', '2028-01-01', 'past'],
      ['FR', '2028-01-01', null, 'ended'],
    ]);
    // A rate applies from its first day on, and to the day before the next.
    expect(placed('2020-12-31')[0]?.[3]).toBe('in effect');
    expect(placed('2021-01-01')[0]?.[3]).toBe('past');
    expect(placed('2029-01-01')[2]?.[3]).toBe('in effect');
  });

  it('are read as percent', () => {
    for (const [text, percent] of [
      ['19', 19],
      [' 8.1 %', 8.1],
      ['0', 0],
      ['50', 50],
      ['7.25', 7.25],
    ] as const)
      expect(parseRate(text)).toBe(percent);
    for (const text of ['', '51', '50.01', '8.125', '-1', '1,5', 'ten', '100']) expect(parseRate(text)).toBeNull();
  });
});
