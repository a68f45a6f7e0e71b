import { describe, expect, test } from 'vitest';
import { queryOf } from '../../src/pages/offers/filters';
import { labelled, largest } from '../../src/parts/fit';
import { sentence } from '../../src/parts/text';

test('a sentence ends with one punctuation mark', () => {
  expect(sentence('The offer is sold out.')).toBe('The offer is sold out.');
  expect(sentence('the offer is sold out')).toBe('The offer is sold out.');
  expect(sentence('Why? ')).toBe('Why?');
  expect(sentence('')).toBe('');
});

describe('labels under a chart', () => {
  test('never overlap and never leave it', () => {
    for (const count of [7, 30, 90])
      for (let width = 40; width < 1200; width += 13) {
        const has = labelled(count, width, 54);
        let end = 0;
        for (let i = 0; i < count; i++) {
          if (!has(i)) continue;
          const left = (i * width) / count;
          expect(left).toBeGreaterThanOrEqual(end - 1e-9);
          end = left + 54;
          expect(end).toBeLessThanOrEqual(width + 1e-9);
        }
        if (width >= 54) expect(has(0)).toBe(true);
      }
  });
});

test('a long list shows the largest entries and the rest', () => {
  const all = Array.from({ length: 122 }, (_, i) => ({ cost: i }));
  const { shown, rest } = largest(all, (g) => g.cost, 10);
  expect(shown.map((g) => g.cost)).toEqual([121, 120, 119, 118, 117, 116, 115, 114, 113, 112]);
  expect(rest).toHaveLength(112);
  // A rest of one is shown as that one.
  expect(largest(all.slice(0, 11), (g) => g.cost, 10).rest).toEqual([]);
});

test('filters in the URL become a query, without invalid ones', () => {
  expect(queryOf({})).toEqual({ available: true });
  expect(queryOf({ available: 'all', search: 'b200' })).toEqual({ search: 'b200' });
  expect(queryOf({ instanceType: 'VM', gpuCount: '8', maxHourlyPrice: '12.5' })).toMatchObject({
    instanceType: 'VM',
    gpuCount: 8,
    maxHourlyPrice: 12.5,
  });
  const wrong = queryOf({ instanceType: 'NONE', gpuCount: '1.5', maxHourlyPrice: 'x' });
  for (const name of ['instanceType', 'gpuCount', 'maxHourlyPrice'] as const) expect(wrong[name]).toBeUndefined();
});
