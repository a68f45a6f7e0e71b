// Two small charts. A chart library would be larger than all pages together.

import { useElementSize } from '@mantine/hooks';
import { type KeyboardEvent, useId, useState } from 'react';
import './chart.css';
import { labelled } from './fit';
import { formatMoney, formatTotal, type Micro, sum } from './money';

/** What the parts of all bars are: one color each, in this order from the bottom. */
export interface Series {
  key: string;
  name: string;
  /** 0 to 5, or other. */
  color: number | 'other';
}

export interface Bar {
  key: string;
  label: string;
  /** An amount for each series. */
  parts: Micro[];
  /** What is expected on top. It is drawn as an outline. */
  expected?: Micro;
}

/** The square that a series has in a legend. */
export function Swatch({ color }: { color: Series['color'] }) {
  return <i className="swatch" data-color={color} aria-hidden="true" />;
}

/** The width of a label such as "Nov 23" with the space after it, in pixels. */
const labelWidth = 54;

interface BarsProps {
  title: string;
  series: Series[];
  bars: Bar[];
  height?: number;
  /** Shows the numbers in place of the bars. */
  table?: boolean;
}

/**
 * Amounts by day as bars, or as a table. The bars are a slider for the keyboard and for screen
 * readers: its value is the day that is shown.
 */
export function Bars({ title, series, bars, height = 180, table = false }: BarsProps) {
  const [at, setAt] = useState<number | null>(null);
  const id = useId();
  const plot = useElementSize();
  const totals = bars.map((b) => sum(...b.parts));
  const most = Math.max(1, ...bars.map((b, i) => (totals[i] ?? 0) + (b.expected ?? 0)));
  const tick = niceStep(most / 3);
  const top = Math.ceil(most / tick) * tick;
  const ticks = Array.from({ length: Math.round(top / tick) + 1 }, (_, i) => (i * tick) as Micro);
  const hasLabel = labelled(bars.length, plot.width, labelWidth);
  const last = bars.findLastIndex((_, i) => totals[i] !== 0);
  const onKeyDown = (e: KeyboardEvent) => {
    const now = at ?? Math.max(0, last);
    const to = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: bars.length - 1 }[e.key];
    if (e.key === 'Escape') setAt(null);
    if (to === undefined) return;
    e.preventDefault();
    setAt(Math.min(Math.max(to, 0), bars.length - 1));
  };
  if (table) return <Numbers title={title} series={series} bars={bars} totals={totals} />;
  const shown = at ?? Math.max(0, last);
  return (
    <figure className="chart" aria-labelledby={id}>
      <figcaption id={id} className="chart-head">
        {title}
      </figcaption>
      <div className="chart-area" style={{ height }}>
        <div className="chart-ticks" aria-hidden="true">
          {ticks.map((t) => (
            <span key={t} style={{ bottom: `${(t / top) * 100}%` }}>
              {formatMoney(t, 0, 2)}
            </span>
          ))}
        </div>
        <div
          ref={plot.ref}
          className="chart-plot"
          role="slider"
          tabIndex={0}
          aria-label={title}
          aria-valuemin={0}
          aria-valuemax={Math.max(0, bars.length - 1)}
          aria-valuenow={shown}
          aria-valuetext={textOf(bars[shown], series)}
          onKeyDown={onKeyDown}
          onFocus={(e) => e.currentTarget.matches(':focus-visible') && setAt(shown)}
          onBlur={() => setAt(null)}
          onPointerLeave={() => setAt(null)}
        >
          {ticks.map((t) => (
            <i key={t} style={{ bottom: `${(t / top) * 100}%` }} />
          ))}
          {bars.map((b, i) => (
            <div key={b.key} className="chart-slot" data-on={at === i || undefined} onPointerEnter={() => setAt(i)}>
              <div className="chart-stack">
                {series.map(
                  (s, n) =>
                    (b.parts[n] ?? 0) > 0 && (
                      <div
                        key={s.key}
                        className="chart-bar"
                        data-color={s.color}
                        style={{ height: `${tall(b.parts[n] ?? 0, top)}%` }}
                      />
                    ),
                )}
                {!!b.expected && (
                  <div className="chart-bar" data-expected style={{ height: `${tall(b.expected, top)}%` }} />
                )}
              </div>
              {hasLabel(i) && (
                <span className="chart-label" aria-hidden="true">
                  {b.label}
                </span>
              )}
            </div>
          ))}
          {at !== null && <Tip bar={bars[at]} total={totals[at]} series={series} left={at < bars.length / 2} />}
        </div>
      </div>
    </figure>
  );
}

/** A part of the height in percent that can be seen. */
function tall(amount: number, top: number): number {
  return Math.max(0.6, (amount / top) * 100);
}

function textOf(bar: Bar | undefined, series: Series[]): string {
  if (!bar) return '';
  const parts = series.flatMap((s, n) => {
    const part = bar.parts[n] ?? 0;
    return series.length > 1 && part !== 0 ? [`${s.name} ${formatTotal(part as Micro)}`] : [];
  });
  if (bar.expected) parts.push(`expected ${formatTotal(bar.expected)}`);
  return [`${bar.label}: ${formatTotal(sum(...bar.parts))}`, ...parts].join(', ');
}

/** The amounts of the bar under the pointer, on the side of the chart that it leaves free. */
function Tip({ bar, total, series, left }: { bar?: Bar; total?: Micro; series: Series[]; left: boolean }) {
  if (!bar) return null;
  return (
    <div className="chart-tip" data-right={left || undefined} aria-hidden="true">
      <div className="card-row">
        <span>{bar.label}</span>
        <b>{formatTotal(total ?? (0 as Micro))}</b>
      </div>
      {series.length > 1 &&
        series.map(
          (s, n) =>
            (bar.parts[n] ?? 0) !== 0 && (
              <div key={s.key} className="card-row">
                <span className="truncate">
                  <Swatch color={s.color} /> {s.name}
                </span>
                <span>{formatTotal(bar.parts[n] ?? (0 as Micro))}</span>
              </div>
            ),
        )}
      {!!bar.expected && (
        <div className="card-row">
          <span>
            <i className="swatch" data-expected /> Expected
          </span>
          <span>{formatTotal(bar.expected)}</span>
        </div>
      )}
    </div>
  );
}

/** The bars as numbers. */
function Numbers({ title, series, bars, totals }: { title: string; series: Series[]; bars: Bar[]; totals: Micro[] }) {
  const expected = bars.some((b) => b.expected);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, also by the keyboard
    <section className="numbers" aria-label={title} tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">Day (UTC)</th>
            {series.length > 1 &&
              series.map((s) => (
                <th key={s.key} scope="col">
                  {s.name}
                </th>
              ))}
            <th scope="col">Total</th>
            {expected && <th scope="col">Expected</th>}
          </tr>
        </thead>
        <tbody>
          {bars.map((b, i) =>
            totals[i] === 0 && !b.expected ? null : (
              <tr key={b.key}>
                <th scope="row">{b.label}</th>
                {series.length > 1 && series.map((s, n) => <td key={s.key}>{amountOf(b.parts[n])}</td>)}
                <td>{amountOf(totals[i])}</td>
                {expected && <td>{amountOf(b.expected)}</td>}
              </tr>
            ),
          )}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">Total</th>
            {series.length > 1 &&
              series.map((s, n) => (
                <td key={s.key}>{amountOf(sum(...bars.map((b) => b.parts[n] ?? (0 as Micro))))}</td>
              ))}
            <td>{amountOf(sum(...totals))}</td>
            {expected && <td>{amountOf(sum(...bars.map((b) => b.expected ?? (0 as Micro))))}</td>}
          </tr>
        </tfoot>
      </table>
    </section>
  );
}

function amountOf(amount: Micro | undefined): string {
  return amount ? formatTotal(amount) : '–';
}

function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
  const step = [1, 2, 2.5, 5, 10].find((s) => s * power >= rough) ?? 10;
  return Math.max(1, Math.round(step * power));
}

export interface Point {
  at: number;
  value: Micro;
  /** Solid from here on; dashed where sold out. */
  solid: boolean;
}

/** A price that holds until the next point: steps, not slopes. */
export function PriceLine({
  points,
  until,
  label,
  height = 90,
}: {
  points: Point[];
  until: number;
  label: string;
  height?: number;
}) {
  const first = points[0];
  if (!first) return null;
  const width = 600;
  const pad = 6;
  const low = Math.min(...points.map((p) => p.value));
  const high = Math.max(...points.map((p) => p.value));
  const span = Math.max(1, until - first.at);
  const x = (at: number) => ((at - first.at) / span) * width;
  // A constant price is a line in the middle.
  const y = (v: number) => (high === low ? height / 2 : height - pad - ((v - low) / (high - low)) * (height - 2 * pad));
  const parts = points.map((p, i) => {
    const next = points[i + 1];
    const end = next ? x(next.at) : width;
    const down = next ? `V${y(next.value).toFixed(1)}` : '';
    return {
      solid: p.solid,
      path: `M${x(p.at).toFixed(1)} ${y(p.value).toFixed(1)}H${end.toFixed(1)}${down}`,
      key: p.at,
    };
  });
  return (
    <svg
      viewBox={`0 0 ${width} ${height}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
      className="price-line"
      style={{ height }}
    >
      {parts.map((p) => (
        <path key={p.key} d={p.path} data-gap={!p.solid || undefined} vectorEffect="non-scaling-stroke" />
      ))}
    </svg>
  );
}
