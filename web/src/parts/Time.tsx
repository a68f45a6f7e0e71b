import { useNow } from '../api/clock';
import { ago, bothTimes, duration, localTime } from './time';

/** A point in time in the reader's zone; UTC on hover. */
export function Time({ at, seconds = false }: { at: string | number | null | undefined; seconds?: boolean }) {
  if (at === null || at === undefined) return <span className="dim">–</span>;
  return (
    <time dateTime={new Date(at).toISOString()} title={bothTimes(at)} className="nowrap">
      {localTime(at, seconds)}
    </time>
  );
}

/** "3 min ago" or "in 2 h", updated; the exact time on hover. */
export function Ago({ at, never = '–' }: { at: string | null | undefined; never?: string }) {
  const now = useNow(5000);
  if (!at) return <span className="dim">{never}</span>;
  return (
    <time dateTime={at} title={bothTimes(at)} className="nowrap">
      {ago(at, now)}
    </time>
  );
}

/** The time since `since`, updated every second. */
export function Elapsed({ since, until }: { since: string; until?: string | null }) {
  const now = useNow(1000);
  const end = until ? Date.parse(until) : now;
  return <span className="nowrap">{duration(end - Date.parse(since))}</span>;
}
