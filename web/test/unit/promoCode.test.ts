import { describe, expect, it } from 'vitest';
import { days, type PromoCode, redeemed, stateOf } from '../../src/pages/operator/promoCode';
import { parseCount } from '../../src/parts/count';
import { beginOf, endOf, firstDay, lastDay } from '../../src/parts/utcDays';

const now = Date.UTC(2028, 1, 29, 12);
const code: PromoCode = {
  id: 'prm_1',
  code: 'WELCOME50',
  amount: 50,
  maxRedemptions: null,
  redemptions: 0,
  creditDays: null,
  validFrom: null,
  validUntil: null,
  newAccountsOnly: false,
  enabled: true,
  createdAt: '2028-01-01T00:00:00Z',
};

describe('the state of a promo code', () => {
  for (const [what, change, state] of [
    ['no limits', {}, 'active'],
    ['disabled, whatever else', { enabled: false, validUntil: '2028-01-01T00:00:00Z' }, 'disabled'],
    ['the instant of its end', { validUntil: '2028-02-29T12:00:00Z' }, 'expired'],
    ['before its end', { validUntil: '2028-02-29T12:00:01Z' }, 'active'],
    ['the instant of its beginning', { validFrom: '2028-02-29T12:00:00Z' }, 'active'],
    ['before its beginning', { validFrom: '2028-02-29T12:00:01Z' }, 'scheduled'],
    ['the last redemption', { maxRedemptions: 3, redemptions: 3 }, 'used up'],
    ['one redemption left', { maxRedemptions: 3, redemptions: 2 }, 'active'],
  ] as const)
    it(what, () => expect(stateOf({ ...code, ...change }, now)).toBe(state));
});

it('redemptions and days are counted in words', () => {
  expect(redeemed({ ...code, redemptions: 1200 })).toBe('1,200');
  expect(redeemed({ ...code, redemptions: 12, maxRedemptions: 2000 })).toBe('12 of 2,000');
  expect([days(1), days(90)]).toEqual(['1 day', '90 days']);
});

it('a typed count is a whole number in its limits', () => {
  for (const [text, count] of [
    ['', null],
    ['  ', null],
    ['1', 1],
    ['3,650', 3650],
    ['3651', undefined],
    ['0', undefined],
    ['-1', undefined],
    ['1.5', undefined],
    ['1e3', undefined],
  ] as const)
    expect(parseCount(text, 3650), text).toBe(count);
});

it('days of a date field are in UTC, and the last one counts until its end', () => {
  expect(beginOf('2028-02-29')).toBe('2028-02-29T00:00:00.000Z');
  expect(endOf('2028-02-29')).toBe('2028-03-01T00:00:00.000Z');
  expect(firstDay('2028-02-29T23:59:59Z')).toBe('2028-02-29');
  expect(lastDay('2028-03-01T00:00:00Z')).toBe('2028-02-29');
  expect(lastDay('2028-03-01T00:00:01Z')).toBe('2028-03-01');
  expect([firstDay(null), lastDay(null)]).toEqual(['', '']);
});
