import { expect, test } from 'vitest';
import { compareValues } from '../../src/parts/rows';

type Value = Parameters<typeof compareValues>[0];
const sorted = (values: Value[], descending = false) => values.toSorted((a, b) => compareValues(a, b, descending));

test('numbers, texts and flags sort in both directions', () => {
  expect(sorted([10, 9, 100])).toEqual([9, 10, 100]);
  expect(sorted([10, 9, 100], true)).toEqual([100, 10, 9]);
  expect(sorted(['beta', 'Alpha', 'gamma'])).toEqual(['Alpha', 'beta', 'gamma']);
  expect(sorted([true, false])).toEqual([false, true]);
});

test('rows without a value come last in both directions', () => {
  expect(sorted([null, 2, 1])).toEqual([1, 2, null]);
  expect(sorted([null, 2, 1], true)).toEqual([2, 1, null]);
});
