// Spending by day and group as the bars of a chart.

import type { Bar, Series } from '../../parts/Chart';
import { largest } from '../../parts/fit';
import { dateFormat } from '../../parts/locale';
import { type Micro, micro, sum } from '../../parts/money';

export const day = 86_400_000;
const colors = 6;
const short = dateFormat({ day: 'numeric', month: 'short', timeZone: 'UTC' });

export interface Group {
  key: string;
  cost: number;
}

interface Cell extends Group {
  day: string;
}

/** The groups that have a color of their own, and the rest as one. */
export function seriesOf(groups: Group[], nameOf: (key: string) => string): Series[] {
  const { shown, rest } = largest(groups, (g) => g.cost, colors - 1);
  const series: Series[] = shown.map((g, color) => ({ key: g.key, name: nameOf(g.key), color }));
  return rest.length > 0 ? [...series, { key: others, name: 'Others', color: 'other' }] : series;
}

/** No key of a group: these have no line breaks. */
const others = '\n';

/** A bar for each day from the first to the last, so that the chart has no gaps. */
export function barsOf(
  series: Series[],
  cells: Cell[],
  from: number,
  last: number,
  expected: { day: string; charges: number }[] = [],
): Bar[] {
  const place = new Map(series.map((s, i) => [s.key, i]));
  const byDay = new Map<string, Micro[]>();
  for (const c of cells) {
    const parts = byDay.get(c.day) ?? series.map(() => 0 as Micro);
    const i = place.get(c.key) ?? series.length - 1;
    parts[i] = sum(parts[i] ?? (0 as Micro), micro(c.cost));
    byDay.set(c.day, parts);
  }
  const ahead = new Map(expected.map((e) => [e.day, micro(e.charges)]));
  return Array.from({ length: Math.round((last - from) / day) + 1 }, (_, i) => {
    const at = from + i * day;
    const key = new Date(at).toISOString().slice(0, 10);
    return { key, label: short(at), parts: byDay.get(key) ?? series.map(() => 0 as Micro), expected: ahead.get(key) };
  });
}

/** An interval of whole days. `last` is the last day of it that the chart shows. */
export interface Period {
  title: string;
  from: number;
  last: number;
  /** Undefined where it goes on. */
  to?: number;
}

const monthName = dateFormat({ month: 'long', year: 'numeric', timeZone: 'UTC' });

/** The periods to choose from: days until today, and months. */
export function periodsAt(now: number): { days: string[]; months: { value: string; label: string }[] } {
  const at = new Date(now);
  const months = Array.from({ length: 13 }, (_, i) => {
    const begin = Date.UTC(at.getUTCFullYear(), at.getUTCMonth() - i, 1);
    return { value: new Date(begin).toISOString().slice(0, 7), label: monthName(begin) };
  });
  return { days: ['7', '30', '90'], months };
}

/** The period of a choice such as "30" or "2026-11". Days are UTC days, as in billing. */
export function periodOf(choice: string, now: number): Period {
  const today = Math.floor(now / day) * day;
  if (!choice.includes('-')) {
    return { title: `Last ${choice} days`, from: today - (Number(choice) - 1) * day, last: today };
  }
  const [year, month] = choice.split('-').map(Number) as [number, number];
  const from = Date.UTC(year, month - 1, 1);
  const to = Date.UTC(year, month, 1);
  return { title: monthName(from), from, last: to - day, to: to > now ? undefined : to };
}

/** The keys of tags such as "team:search" and "team=search". */
export function tagKeys(tags: string[]): string[] {
  const keys = tags.flatMap((t) => /^([^:=]+)[:=]/.exec(t)?.[1] ?? []);
  return [...new Set(keys)].sort();
}
