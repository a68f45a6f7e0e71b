import { Link } from 'react-router';
import { useWallet } from '../api/wallet';
import { Money } from '../parts/Money';
import { micro } from '../parts/money';

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
          {wallet.hoursLeft === null ? 'Nothing runs' : `Lasts ${runway(wallet.hoursLeft)}`}
        </span>
      )}
    </Link>
  );
}

/** Hours in words: minutes below two hours, days from two days on. */
export function runway(hours: number): string {
  if (hours < 2) return `${Math.floor(hours * 60)} min`;
  if (hours < 48) return `${Math.floor(hours)} h`;
  return `${Math.floor(hours / 24).toLocaleString('en-US')} days`;
}
