import { Link } from 'react-router';
import { useNow } from '../api/clock';
import { useCan, useMe } from '../api/session';
import { useWallet } from '../api/wallet';
import { lowBalanceNotice, pastDueNotice } from './pastDue';

/** The banner of an account whose money ends or is at its end: what happens, and what to do. */
export function PastDue() {
  const can = useCan();
  const operator = useMe().data?.user.operator;
  const wallet = useWallet(can('wallet:read')).data;
  const now = useNow(5000);
  const notice = wallet && pastDueNotice(wallet, now);
  const low = wallet && lowBalanceNotice(wallet, now);
  if (low)
    return (
      <div className="banner" role="alert">
        <span>
          <b>Your balance runs dry {low.when}.</b> {low.facts}{' '}
          {operator ? <Link to="/operator">Add credit</Link> : 'Contact the operator to add credit.'}
        </span>
      </div>
    );
  if (!notice) return null;
  return (
    <div className="banner" role="alert">
      <span>
        <b>This account is past due.</b> {notice.facts.join(' ')} {notice.advice}{' '}
        {operator ? <Link to="/operator">Add credit</Link> : 'Contact the operator to add credit.'}
      </span>
    </div>
  );
}
