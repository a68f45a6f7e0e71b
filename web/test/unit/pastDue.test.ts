import { expect, test } from 'vitest';
import { pastDueNotice } from '../../src/app/pastDue';

const since = Date.parse('2026-11-01T10:00:00Z');
const hour = 3_600_000;
const day = 24 * hour;
const at = (ms: number) => new Date(since + ms).toISOString();
const pastDue = { since: at(0), deploymentsEndAt: at(hour), volumesDeletedAt: at(7 * day) };
const machine = { id: 'dep_1', name: 'a', hourlyPrice: 35.92, costToDate: 71.84 };
const volume = { id: 'vol_1', name: 'v', hourlyPrice: 0.1 };
const wallet = (running: number, volumes: number) => ({
  available: -27.76,
  minimumToDeploy: 50,
  pastDue,
  activeDeployments: Array(running).fill(machine),
  volumes: Array(volumes).fill(volume),
});
const noticeText = (running: number, volumes: number, ms: number) => {
  const notice = pastDueNotice(wallet(running, volumes), since + ms);
  return notice ? [...notice.facts, notice.advice].join(' ') : '';
};

test('an account in good standing has no notice', () => {
  expect(pastDueNotice({ ...wallet(1, 1), available: 5, pastDue: null }, since)).toBeNull();
});

test('the notice names the deadlines and the amount', () => {
  const text = noticeText(2, 1, 18 * 60_000);
  expect(text).toMatch(
    /^2 deployments will be terminated in 42 min \(Nov 1, 2026, .*M\)\. 1 volume will be deleted in 6 d 23 h/,
  );
  expect(text).toContain(
    'Add at least $27.76 before then to prevent this. Terminating deployments stops further charges.',
  );
});

test('after the deployments ended, the notice is about volumes', () => {
  const text = noticeText(0, 3, 2 * hour);
  expect(text).toMatch(/^All deployments were terminated on Nov 1, 2026, .*\. 3 volumes will be deleted in 6 d 22 h/);
  expect(text).toContain('Add at least $27.76');
  expect(text).not.toContain('will be terminated');
  expect(text).not.toContain('Terminating deployments');
});

test('at the deadline the deployments are being terminated', () => {
  expect(noticeText(1, 1, hour)).toMatch(/^1 deployment is being terminated\. 1 volume will be deleted/);
});

test('after everything ended, the notice announces nothing', () => {
  const text = noticeText(0, 0, 8 * day);
  expect(text).toMatch(/^All deployments were terminated on .* All volumes were deleted on Nov 8, 2026/);
  expect(text).toContain('Add $77.76 to deploy again ($27.76 is past due).');
  expect(text).not.toMatch(/will be/);
});

test('an account without resources is only told the amount', () => {
  const text = noticeText(0, 0, 60_000);
  expect(text).toBe('Add $77.76 to deploy again ($27.76 is past due).');
});
