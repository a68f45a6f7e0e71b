import { Link } from 'react-router';
import type { Schema } from '../../api/client';
import { Money } from '../../parts/Money';
import { Panel } from '../../parts/Panel';
import { useRowLink } from '../../parts/rowLink';
import '../../parts/table.css';

/** What is billed at present. */
export function ActiveResources({ wallet: w }: { wallet: Schema['Wallet'] }) {
  const rowLink = useRowLink();
  const resources = [
    ...w.activeDeployments.map((d) => ({ ...d, to: `/deployments/${d.id}`, kind: '' })),
    ...w.volumes.map((v) => ({ ...v, to: `/volumes?search=${v.id}`, kind: 'volume' })),
  ];
  return (
    <Panel
      title="Active resources"
      bare
      actions={
        <span>
          <Money usd={w.hourlyCost} />
          <span className="dim">/hr</span>
        </span>
      }
    >
      {resources.length === 0 ? (
        <div className="panel-body dim">
          No active resources.{' '}
          <Link to="/offers" className="link">
            Browse offers
          </Link>
        </div>
      ) : (
        <div className="running-list">
          <table className="plain-table">
            <caption className="sr">Running deployments and volumes</caption>
            <tbody>
              {resources.map((r) => (
                <tr key={r.id} {...rowLink(r.to)}>
                  <th scope="row" className="row-name">
                    <Link to={r.to} className="plain-link">
                      {r.name}
                    </Link>{' '}
                    <span className="dim">{r.kind}</span>
                  </th>
                  <td data-end>
                    <Money usd={r.hourlyPrice} per="/hr" />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}
