import { Link } from 'react-router';
import type { Schema } from '../../api/client';
import { Money } from '../../parts/Money';
import '../../parts/table.css';

/** What is being paid for at this moment. */
export function Running({ wallet: w }: { wallet: Schema['Wallet'] }) {
  const none = w.activeDeployments.length + w.volumes.length === 0;
  return (
    <section className="panel" aria-labelledby="running">
      <div className="panel-head">
        <h2 id="running">Paid for now</h2>
        <Money usd={w.hourlyCost} per="/h" />
      </div>
      {none ? (
        <div className="panel-body dim">
          Nothing.{' '}
          <Link to="/offers" className="link">
            Browse offers
          </Link>
        </div>
      ) : (
        <div className="running-list">
          <table className="plain-table">
            <caption className="sr">Running deployments and volumes</caption>
            <tbody>
              {w.activeDeployments.map((d) => (
                <tr key={d.id}>
                  <th scope="row" className="row-name">
                    <Link to={`/deployments/${d.id}`} className="plain-link">
                      {d.name}
                    </Link>
                  </th>
                  <td data-end>
                    <Money usd={d.hourlyPrice} per="/h" />
                  </td>
                </tr>
              ))}
              {w.volumes.map((v) => (
                <tr key={v.id}>
                  <th scope="row" className="row-name">
                    {v.name} <span className="dim">volume</span>
                  </th>
                  <td data-end>
                    <Money usd={v.hourlyPrice} per="/h" />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
