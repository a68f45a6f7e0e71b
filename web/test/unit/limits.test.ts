import { expect, test } from 'vitest';
import type { Offer } from '../../src/api/offers';
import type { Draft } from '../../src/pages/deploy/draft';
import { bodyOf } from '../../src/pages/deploy/request';
import { autoTerminatesAt, limitsOf } from '../../src/parts/limits';

test('limits are amounts and whole minutes, or none', () => {
  expect(limitsOf({ maxSpend: '', maxRuntimeMinutes: ' ' })).toEqual({
    maxSpend: null,
    maxRuntimeMinutes: null,
    errors: {},
  });
  expect(limitsOf({ maxSpend: '$1,250.5', maxRuntimeMinutes: '480' })).toEqual({
    maxSpend: 1250.5,
    maxRuntimeMinutes: 480,
    errors: {},
  });
  for (const wrong of ['0', 'x', '-1', '1.5.2'])
    expect(Object.keys(limitsOf({ maxSpend: wrong, maxRuntimeMinutes: wrong }).errors)).toEqual([
      'maxSpend',
      'maxRuntimeMinutes',
    ]);
});

test('a deployment ends at the first of its limits', () => {
  expect(autoTerminatesAt({ endsAt: '2026-11-30T12:00:00Z', autoTerminateAt: '2026-12-01T12:00:00Z' })).toBe(
    '2026-11-30T12:00:00Z',
  );
  expect(autoTerminatesAt({ endsAt: '2026-11-30T12:00:00Z', autoTerminateAt: null })).toBe('2026-11-30T12:00:00Z');
  expect(autoTerminatesAt({ endsAt: null, autoTerminateAt: '2026-12-01T12:00:00Z' })).toBe('2026-12-01T12:00:00Z');
  expect(autoTerminatesAt({ endsAt: null, autoTerminateAt: null })).toBeNull();
});

test('a request has the limits that were entered', () => {
  const offer = { id: 'off_1', hourlyPrice: 2, operatingSystems: ['Ubuntu 22.04'] } as Offer;
  const draft: Draft = {
    name: 'a',
    operatingSystem: 'Ubuntu 22.04',
    sshKeyIds: [],
    volumeIds: [],
    cloudInit: '',
    tags: [],
    project: '',
    end: '',
    maxSpend: '200',
    maxRuntimeMinutes: '90',
    fallbackIds: [],
    quoteId: '',
  };
  expect(bodyOf(offer, draft, 0)).toMatchObject({ maxSpend: 200, maxRuntimeMinutes: 90 });
  const none = bodyOf(offer, { ...draft, maxSpend: '', maxRuntimeMinutes: '' }, 0);
  expect(none).not.toHaveProperty('maxSpend');
  expect(none).not.toHaveProperty('maxRuntimeMinutes');
});
