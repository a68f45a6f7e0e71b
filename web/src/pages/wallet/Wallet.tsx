import { Alert } from '@mantine/core';
import { Link } from 'react-router';
import { useMe } from '../../api/session';
import { useWallet } from '../../api/wallet';
import { ErrorBox } from '../../parts/ErrorBox';
import { Figure } from '../../parts/Facts';
import { Money } from '../../parts/Money';
import { PageHead } from '../../parts/PageHead';
import { PageSkeleton } from '../../parts/Skeletons';
import { runway } from '../../parts/time';
import { Running } from './Running';
import { Spending } from './Spending';
import { Statement } from './Statement';
import './wallet.css';

function count(volumes: number): string {
  return volumes === 1 ? '1 volume' : `${volumes} volumes`;
}

export default function Wallet() {
  const wallet = useWallet();
  const me = useMe().data;
  const w = wallet.data;
  if (!w)
    return wallet.isError ? <ErrorBox error={wallet.error} retry={() => void wallet.refetch()} /> : <PageSkeleton />;
  return (
    <>
      <PageHead title="Wallet" />
      <div className="figures">
        <Figure
          name="Available"
          note={
            <>
              at least <Money usd={w.minimumToDeploy} /> to deploy
            </>
          }
        >
          <Money usd={w.available} most={2} />
        </Figure>
        <Figure name="On hold" note="first hours of starting deployments">
          <Money usd={w.held} most={2} />
        </Figure>
        <Figure name="Balance" note="available and on hold">
          <Money usd={w.balance} most={2} />
        </Figure>
        <Figure name="Hourly spend" note={`${w.activeDeployments.length} running, ${count(w.volumes.length)}`}>
          <Money usd={w.hourlyCost} per="/h" />
        </Figure>
        <Figure name="Runway" note="at the current hourly spend">
          {w.hoursLeft === null ? '–' : runway(w.hoursLeft)}
        </Figure>
      </div>
      {w.available < w.minimumToDeploy && !w.pastDue && (
        <Alert color="amber" variant="outline" mt="md" title="Not enough available to deploy">
          A deployment needs at least <Money usd={w.minimumToDeploy} /> available.{' '}
          {me?.user.operator ? (
            <Link to="/operator">Add credit under Operator → Accounts</Link>
          ) : (
            'Ask the operator of this cloud to add credit.'
          )}
        </Alert>
      )}
      <div className="wallet-two">
        <Spending />
        <Running wallet={w} />
      </div>
      <Statement />
    </>
  );
}
