import { useAll } from '../../api/hooks';
import { creditsPath } from '../../api/wallet';
import { Money } from '../../parts/Money';
import { Panel } from '../../parts/Panel';
import { Time } from '../../parts/Time';
import '../../parts/table.css';

/** What is left of credits that expire, in the order in which they are spent; nothing without. */
export function ExpiringCredits() {
  const credits = useAll(creditsPath, { state: 'active' }).data ?? [];
  if (credits.length === 0) return null;
  const inOrder = credits.toSorted((a, b) => Date.parse(a.expiresAt ?? '') - Date.parse(b.expiresAt ?? ''));
  return (
    <Panel title="Credits that expire" bare>
      <div className="running-list">
        <table className="plain-table">
          <caption className="sr">Credits that expire, in the order in which they are spent</caption>
          <thead className="sr">
            <tr>
              <th scope="col">Credit</th>
              <th scope="col">Left</th>
            </tr>
          </thead>
          <tbody>
            {inOrder.map((c) => (
              <tr key={c.id}>
                <th scope="row" className="row-name">
                  {c.note || 'Credit'}
                  <span className="cell-sub">
                    expires <Time at={c.expiresAt} />
                  </span>
                </th>
                <td data-end>
                  <Money usd={c.remaining} />
                  {c.remaining !== c.amount && (
                    <span className="cell-sub">
                      of <Money usd={c.amount} />
                    </span>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="panel-note dim small">Spent before your other money, the next to expire first.</p>
    </Panel>
  );
}
