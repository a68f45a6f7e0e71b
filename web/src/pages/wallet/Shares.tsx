import { Button } from '@mantine/core';
import { useState } from 'react';
import { Link } from 'react-router';
import type { GroupBy } from '../../api/wallet';
import { type Series, Swatch } from '../../parts/Chart';
import { largest } from '../../parts/fit';
import { formatNumber } from '../../parts/locale';
import { Money } from '../../parts/Money';
import { type Micro, micro, sum } from '../../parts/money';

/** The page that shows what a group consists of. */
function pageOf(by: GroupBy, key: string): string | null {
  if (!key) return null;
  if (by === 'deployment') return key.startsWith('dep_') ? `/deployments/${key}` : null;
  const filter = { project: 'project', tag: 'tag', member: 'createdBy', apiKey: 'createdBy', provider: 'provider' }[
    by as string
  ];
  return filter ? `/deployments?${filter}=${encodeURIComponent(key)}&status=all` : null;
}

/** The rows shown at first. The rest is one more row. */
const most = 10;

interface Props {
  groups: { key: string; cost: number }[];
  total: Micro;
  by: GroupBy;
  nameOf: (key: string) => string;
  /** What the chart above draws, for its colors. */
  series?: Series[];
}

/** The groups of a period's spending, with their shares of it. */
export function Shares({ groups, total, by, nameOf, series }: Props) {
  const [all, setAll] = useState(false);
  const { shown, rest } = largest(groups, (g) => g.cost, all ? groups.length : most);
  const colors = new Map(series?.map((s) => [s.key, s.color]));
  return (
    <>
      <ul className="shares" aria-label="Cost" tabIndex={all ? 0 : undefined} data-all={all || undefined}>
        {shown.map((g) => {
          const cost = micro(g.cost);
          const color = series && (colors.get(g.key) ?? 'other');
          const page = pageOf(by, g.key);
          return (
            <li key={g.key}>
              <div className="card-row">
                <span className="truncate">
                  {color !== undefined && <Swatch color={color} />}
                  {page ? (
                    <Link to={page} className="plain-link">
                      {nameOf(g.key)}
                    </Link>
                  ) : (
                    nameOf(g.key)
                  )}
                </span>
                <Money amount={cost} />
              </div>
              <div className="meter" aria-hidden="true">
                <span data-color={color} style={{ width: `${total > 0 ? Math.max(1, (cost / total) * 100) : 0}%` }} />
              </div>
            </li>
          );
        })}
        {rest.length > 0 && (
          <li className="card-row dim">
            <span>{formatNumber(rest.length)} others</span>
            <Money amount={sum(...rest.map((g) => micro(g.cost)))} />
          </li>
        )}
      </ul>
      {(rest.length > 0 || all) && (
        <Button variant="subtle" color="gray" size="compact-sm" mt="sm" onClick={() => setAll(!all)}>
          {all ? `Show the ${most} largest` : `Show all ${formatNumber(groups.length)}`}
        </Button>
      )}
    </>
  );
}
