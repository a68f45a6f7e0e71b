import { Link } from 'react-router';
import { useWallet } from '../api/wallet';
import { Money } from '../parts/Money';
import { runway } from '../parts/time';

/** The available balance and the runway, on every page. */
export function Funds({ short = false }: { short?: boolean }) {
  const wallet = useWallet().data;
  return (
    <Link to="/wallet" className="funds">
      {!short && <span className="small dim">Available</span>}
      <div className="nowrap">
        <b>{wallet ? <Money usd={wallet.available} /> : '…'}</b>
        {!short && wallet && wallet.hourlyCost > 0 && (
          <span className="small dim">
            {' '}
            · <Money usd={wallet.hourlyCost} />
            /hr
          </span>
        )}
      </div>
      {!short && wallet && (
        <span className="small dim">
          {wallet.hoursLeft === null ? 'No active resources' : `≈ ${runway(wallet.hoursLeft)} runway`}
        </span>
      )}
    </Link>
  );
}
