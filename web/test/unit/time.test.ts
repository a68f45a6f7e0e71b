import { describe, expect, test } from 'vitest';
import { ago, duration, localTime, remaining, roughly, runway, utcTime } from '../../src/parts/time';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;

test('durations have units', () => {
  expect(duration(0)).toBe('0 s');
  expect(duration(9 * second)).toBe('9 s');
  expect(duration(4 * minute + 10 * second)).toBe('4 min 10 s');
  expect(duration(2 * hour)).toBe('2 h');
  expect(duration(27 * hour + 5 * minute)).toBe('1 d 3 h');
});

test('a remaining time is rounded up', () => {
  expect(remaining(20 * minute + 19_001)).toBe('20 min 20 s');
  expect(roughly(20 * minute + 1)).toBe('21 min');
  expect(roughly(20 * minute)).toBe('20 min');
  expect(roughly(hour + 4 * minute + 1)).toBe('1 h 5 min');
  expect(roughly(44_001)).toBe('45 s');
});

// "20:20" for twenty minutes reads as a time of day.
test('no duration reads as a time of day', () => {
  for (let ms = 0; ms < 50 * hour; ms += 97_531)
    for (const text of [duration(ms), remaining(ms), roughly(ms), ago(0, ms), ago(ms, 0), runway(ms / hour)])
      expect(text).not.toMatch(/\d:\d/);
});

test('a relative time has a direction', () => {
  expect(ago('2026-11-23T10:00:00Z', Date.parse('2026-11-23T10:03:00Z'))).toBe('3 min ago');
  expect(ago('2026-11-23T12:00:00Z', Date.parse('2026-11-23T10:00:00Z'))).toBe('in 2 h');
  expect(ago('2026-11-23T10:00:00Z', Date.parse('2026-11-23T10:00:04Z'))).toBe('just now');
});

describe('points in time', () => {
  test('are American English', () => {
    expect(localTime('2026-10-31T12:00:00Z')).toMatch(/^Oct 31, 2026, \d+:00\s[AP]M$/);
  });
  test('are available in UTC', () => expect(utcTime('2026-10-31T12:00:01Z')).toBe('2026-10-31 12:00:01 UTC'));
});

test('a runway is in minutes, hours or days', () => {
  expect([0.5, 1.99, 2, 47.9, 48, 24_000].map(runway)).toEqual([
    '30 min',
    '119 min',
    '2 h',
    '47 h',
    '2 days',
    '1,000 days',
  ]);
});
