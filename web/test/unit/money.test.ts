import { describe, expect, test } from 'vitest';
import {
  formatMoney,
  formatTotal,
  type Micro,
  micro,
  minus,
  parseMoney,
  share,
  sum,
  times,
} from '../../src/parts/money';

test('amounts are exact to the micro-dollar', () => {
  expect(micro(35.92)).toBe(35_920_000);
  expect(micro(0.1) + micro(0.2)).toBe(micro(0.3));
  expect(sum(micro(0.1), micro(0.2), micro(-0.3))).toBe(0);
  expect(minus(micro(1), micro(0.999999))).toBe(1);
  expect(times(micro(0.000055), 1000)).toBe(55_000);
});

test('a share is rounded half up, as the API does', () => {
  expect(share(micro(35.92), 3599, 3600)).toBe(35_910_022);
  expect(share(1 as Micro, 1, 2)).toBe(1);
  expect(share(-1 as Micro, 1, 2)).toBe(0);
  expect(share(micro(9_000_000_000), 3600, 3600)).toBe(micro(9_000_000_000));
});

describe('formatMoney', () => {
  const cases: [number, number | undefined, number | undefined, string][] = [
    [0, undefined, undefined, '$0.00'],
    [1234.5, undefined, undefined, '$1,234.50'],
    [0.000055, undefined, undefined, '$0.000055'],
    [1_234_567.891, 2, 2, '$1,234,567.89'],
    [999.999, 2, 2, '$1,000.00'],
    [-35.92, undefined, undefined, '−$35.92'],
    [-0.001, 2, 2, '$0.00'],
    [7, 0, 2, '$7'],
    [4.49, 4, 4, '$4.4900'],
  ];
  for (const [amount, least, most, want] of cases)
    test(`${amount} is ${want}`, () => expect(formatMoney(micro(amount), least, most)).toBe(want));
});

test('a total has two decimals', () => {
  const cases: [number, string][] = [
    [0, '$0.00'],
    [1234.567891, '$1,234.57'],
    [-27.764, '−$27.76'],
    [0.004, '<$0.01'],
    [-0.004, '−<$0.01'],
  ];
  for (const [amount, want] of cases) expect(formatTotal(micro(amount)), String(amount)).toBe(want);
});

test('typed amounts are parsed', () => {
  expect(parseMoney('$1,234.5')).toBe(micro(1234.5));
  expect(parseMoney(' 12 ')).toBe(micro(12));
  for (const wrong of ['', '1,2', '1.2345678', '-5', '12,5', 'five']) expect(parseMoney(wrong), wrong).toBeNull();
});
