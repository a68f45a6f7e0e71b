import { Link } from 'react-router';
import { useWallet } from '../api/wallet';
import { Money } from '../parts/Money';
import { micro } from '../parts/money';
import { runway } from '../parts/time';

/** Available money and how long it lasts, always in sight. */
export function Funds({ short = false }: { short?: boolean }) {
  const wallet = useWallet().data;
  return (
    <Link to="/wallet" className="funds">
      {!short && <span className="small dim">Available</span>}
      <div className="nowrap">
        <b>{wallet ? <Money usd={wallet.available} most={2} /> : '…'}</b>
        {!short && wallet && wallet.hourlyCost > 0 && (
          <span className="small dim">
            {' '}
            · <Money amount={micro(wallet.hourlyCost)} most={2} per="/h" />
          </span>
        )}
      </div>
      {!short && wallet && (
        <span className="small dim">
          {wallet.hoursLeft === null ? 'Nothing is running' : `${runway(wallet.hoursLeft)} of runway`}
        </span>
      )}
    </Link>
  );
}
