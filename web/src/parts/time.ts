// Times and durations in words.

const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const dateTimeSeconds = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const timeOnly = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** In the reader's own zone: "23 Nov 2026, 20:48". */
export function localTime(at: string | number, seconds = false): string {
  return (seconds ? dateTimeSeconds : dateTime).format(new Date(at));
}

export function clockTime(at: string | number): string {
  return timeOnly.format(new Date(at));
}

/** "2026-11-23 19:48:02 UTC". */
export function utcTime(at: string | number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** Both, for hovering: what the reader's clock says, where, and UTC. */
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

/** "24:52" or "1:04:10", for countdowns. */
export function countdown(milliseconds: number): string {
  const total = Math.max(0, Math.ceil(milliseconds / 1000));
  const two = (n: number) => String(n).padStart(2, '0');
  const hours = Math.floor(total / 3600);
  const rest = `${two(Math.floor(total / 60) % 60)}:${two(total % 60)}`;
  return hours > 0 ? `${hours}:${rest}` : rest;
}

/** "3 min ago", "in 2 h". */
export function ago(at: string | number, now: number): string {
  const difference = now - new Date(at).getTime();
  if (Math.abs(difference) < 5000) return 'just now';
  // One part is enough at a distance.
  const text = duration(Math.abs(difference)).split(' ').slice(0, 2).join(' ');
  return difference > 0 ? `${text} ago` : `in ${text}`;
}
