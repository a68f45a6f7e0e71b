// Times and durations. A duration always has units: "in 20 min", never "20:20", which reads as a
// time of day.

import { dateFormat, formatNumber, zone } from './locale';

const dateTime = dateFormat({ dateStyle: 'medium', timeStyle: 'short' });
const dateTimeSeconds = dateFormat({ dateStyle: 'medium', timeStyle: 'medium' });

const utcDate = dateFormat({ dateStyle: 'medium', timeZone: 'UTC' });

/** The day in UTC: "Nov 23, 2026". */
export function utcDay(at: string | number): string {
  return utcDate(at);
}

/** In the reader's own zone: "Nov 23, 2026, 8:48 PM". */
export function localTime(at: string | number, seconds = false): string {
  return (seconds ? dateTimeSeconds : dateTime)(at);
}

/** "2026-11-23 19:48:02 UTC". */
export function utcTime(at: string | number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** Local time with its zone, and UTC, for a tooltip. */
export function bothTimes(at: string | number): string {
  return `${localTime(at, true)} (${zone})\n${utcTime(at)}`;
}

/** "1 d 3 h", "2 h 5 min", "4 min 10 s", "9 s": the two largest parts. */
export function duration(milliseconds: number): string {
  const total = Math.max(0, Math.floor(milliseconds / 1000));
  const parts: [number, string][] = [
    [Math.floor(total / 86400), 'd'],
    [Math.floor(total / 3600) % 24, 'h'],
    [Math.floor(total / 60) % 60, 'min'],
    [total % 60, 's'],
  ];
  const first = parts.findIndex(([n]) => n > 0);
  if (first < 0) return '0 s';
  return parts
    .slice(first, first + 2)
    .filter(([n]) => n > 0)
    .map(([n, unit]) => `${n} ${unit}`)
    .join(' ');
}

/** A remaining time to the second, rounded up so that it reaches zero at the end: "24 min 52 s". */
export function remaining(milliseconds: number): string {
  return duration(Math.ceil(milliseconds / 1000) * 1000);
}

/** A remaining time in whole minutes from one minute on: "45 s", "25 min", "1 h 5 min". */
export function roughly(milliseconds: number): string {
  const minute = 60_000;
  return milliseconds <= minute ? remaining(milliseconds) : duration(Math.ceil(milliseconds / minute) * minute);
}

/** "3 min ago", "in 2 h". */
export function ago(at: string | number, now: number): string {
  const difference = now - new Date(at).getTime();
  if (Math.abs(difference) < 5000) return 'just now';
  // The largest part is enough.
  const text = duration(Math.abs(difference)).split(' ').slice(0, 2).join(' ');
  return difference > 0 ? `${text} ago` : `in ${text}`;
}

/** Hours of runway: in minutes below two hours, in days from two days on. */
export function runway(hours: number): string {
  if (hours < 2) return `${Math.floor(hours * 60)} min`;
  if (hours < 48) return `${Math.floor(hours)} h`;
  return `${formatNumber(Math.floor(hours / 24))} days`;
}
