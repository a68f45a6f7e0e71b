// Two small charts. A chart library would be larger than all pages together.

import { useElementSize } from '@mantine/hooks';
import { useId, useState } from 'react';
import './chart.css';
import { labelled } from './fit';
import { formatMoney, formatTotal, type Micro } from './money';

export interface Bar {
  key: string;
  label: string;
  value: Micro;
}

/** The width of a label such as "Nov 23" with the space after it, in pixels. */
const labelWidth = 54;

/** Amounts by day, with a table for screen readers. */
export function Bars({ bars, title, height = 180 }: { bars: Bar[]; title: string; height?: number }) {
  const [at, setAt] = useState<number | null>(null);
  const id = useId();
  const most = Math.max(1, ...bars.map((b) => b.value));
  const tick = niceStep(most / 3);
  const top = Math.ceil(most / tick) * tick;
  const ticks = Array.from({ length: Math.round(top / tick) + 1 }, (_, i) => (i * tick) as Micro);
  const shown = at === null ? undefined : bars[at];
  const plot = useElementSize();
  const hasLabel = labelled(bars.length, plot.width, labelWidth);
  return (
    <figure className="chart" aria-labelledby={id}>
      <figcaption id={id} className="chart-head">
        <span>{title}</span>
        <span className="dim">
          {shown ? (
            <>
              {shown.label}: <b>{formatTotal(shown.value)}</b>
            </>
          ) : (
            ' '
          )}
        </span>
      </figcaption>
      <div className="chart-area" style={{ height }} aria-hidden="true">
        <div className="chart-ticks">
          {ticks.map((t) => (
            <span key={t} style={{ bottom: `${(t / top) * 100}%` }}>
              {formatMoney(t, 0, 2)}
            </span>
          ))}
        </div>
        <div ref={plot.ref} className="chart-plot" onPointerLeave={() => setAt(null)}>
          {ticks.map((t) => (
            <i key={t} style={{ bottom: `${(t / top) * 100}%` }} />
          ))}
          {bars.map((b, i) => (
            <div key={b.key} className="chart-slot" data-on={at === i || undefined} onPointerEnter={() => setAt(i)}>
              <div
                className="chart-bar"
                style={{ height: `${Math.max(b.value > 0 ? 0.6 : 0, (b.value / top) * 100)}%` }}
              />
              {hasLabel(i) && <span className="chart-label">{b.label}</span>}
            </div>
          ))}
        </div>
      </div>
      <table className="sr">
        <caption>{title}</caption>
        <tbody>
          {bars
            .filter((b) => b.value !== 0)
            .map((b) => (
              <tr key={b.key}>
                <th scope="row">{b.label}</th>
                <td>{formatTotal(b.value)}</td>
              </tr>
            ))}
        </tbody>
      </table>
    </figure>
  );
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
