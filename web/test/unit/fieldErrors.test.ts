import { expect, it } from 'vitest';
import { isWithin } from '../../src/api/hooks';

it.each([
  ['name', 'name', true],
  ['mail.port', 'mail', true],
  ['rates[0].from', 'rates', true],
  ['rates[0].from', 'rates[0]', true],
  ['rates[10].from', 'rates[1]', false],
  ['nameservers', 'name', false],
  ['nameservers[0]', 'name', false],
  ['credit', 'creditDays', false],
])('%s within %s: %s', (field, path, want) => {
  expect(isWithin(field, path)).toBe(want);
});
