// Dates and numbers use one locale, which parts/locale.ts sets.

import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { compareNames, dateFormat, formatNumber, formatPercent } from '../../src/parts/locale';

const src = new URL('../../src/', import.meta.url);

test('only parts/locale.ts sets a locale', () => {
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((f) => /\.tsx?$/.test(f));
  expect(files.length).toBeGreaterThan(100);
  const offenders = files.filter(
    (f) =>
      f !== 'parts/locale.ts' &&
      f !== 'api/schema.d.ts' &&
      /\btoLocale\w*\(|\bIntl\.|\blocaleCompare\(|navigator\.languages?\b/.test(readFileSync(new URL(f, src), 'utf8')),
  );
  expect(offenders).toEqual([]);
});

test('numbers and dates are in US format', () => {
  expect(formatNumber(1234567.891)).toBe('1,234,567.891');
  expect(formatNumber(1234.56, 0)).toBe('1,235');
  expect(formatPercent(12.345)).toBe('12.3%');
  expect(formatPercent(-0.24)).toBe('−0.2%');
  expect(formatPercent(-0.04)).toBe('0%');
  expect(dateFormat({ day: 'numeric', month: 'short', timeZone: 'UTC' })('2026-10-31T00:00:00Z')).toBe('Oct 31');
});

test('names with numbers are in the order of the numbers', () => {
  expect(['rack-10', 'rack-2', 'Rack-1'].sort(compareNames)).toEqual(['Rack-1', 'rack-2', 'rack-10']);
});
