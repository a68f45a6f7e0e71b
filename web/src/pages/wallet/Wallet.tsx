import { Alert, Button } from '@mantine/core';
import { lazy, Suspense } from 'react';
import { Link } from 'react-router';
import { useCan, useMe } from '../../api/session';
import { useWallet } from '../../api/wallet';
import { Figure } from '../../parts/Facts';
import { Loaded } from '../../parts/Loaded';
import { Money } from '../../parts/Money';
import { micro, minus } from '../../parts/money';
import { PageHead } from '../../parts/PageHead';
import { runway } from '../../parts/time';
import { useNew } from '../../parts/useNew';
import { MissingDetails } from '../billing/MissingDetails';
import { TopUpNotice } from '../billing/TopUpNotice';
import { BudgetPanel } from '../budgets/BudgetPanel';
import { ActiveResources } from './ActiveResources';
import { ExpiringCredits } from './ExpiringCredits';
import { Spending } from './Spending';
import { Transactions } from './Transactions';
import './wallet.css';

// Dialogs load when the first one opens.
const RedeemDialog = lazy(() => import('./RedeemDialog'));

export default function Wallet() {
  const wallet = useWallet();
  const me = useMe().data;
  const can = useCan();
  const [redeeming, dialog] = useNew();
  return (
    <>
      <PageHead
        title="Wallet"
        actions={
          can('wallet:write') && (
            <>
              <Button variant="default" onClick={dialog.open}>
                Redeem code
              </Button>
              <Button component={Link} to="/billing?new=1">
                Top up
              </Button>
            </>
          )
        }
      />
      <TopUpNotice />
      <MissingDetails link />
      {redeeming && can('wallet:write') && (
        <Suspense>
          <RedeemDialog onClose={dialog.close} />
        </Suspense>
      )}
      <Loaded query={wallet}>
        {(w) => (
          <>
            <div className="figures">
              <Figure
                name="Available"
                note={
                  <>
                    minimum to deploy: <Money usd={w.minimumToDeploy} />
                  </>
                }
              >
                <Money usd={w.available} />
              </Figure>
              <Figure name="On hold" note="pending deployments">
                <Money usd={w.held} />
              </Figure>
              <Figure name="Balance" note="available and on hold">
                <Money usd={w.balance} />
              </Figure>
              <Figure
                name="Hourly spend"
                note={`${count(w.activeDeployments.length, 'deployment')}, ${count(w.volumes.length, 'volume')}`}
              >
                <Money usd={w.hourlyCost} />
                <span className="dim">/hr</span>
              </Figure>
              <Figure name="Runway" note="at the current rate">
                {w.hoursLeft === null ? '–' : `≈ ${runway(w.hoursLeft)}`}
              </Figure>
            </div>
            {w.available < w.minimumToDeploy && !w.pastDue && (
              <Alert color="amber" variant="outline" mt="md" title="Balance too low to deploy">
                Add at least <Money amount={minus(micro(w.minimumToDeploy), micro(w.available))} /> to deploy.{' '}
                {me?.user.operator ? <Link to="/operator">Add credit</Link> : 'Contact the operator to add credit.'}
              </Alert>
            )}
            <div className="wallet-two">
              <Spending />
              <div className="stack">
                <ExpiringCredits />
                <ActiveResources wallet={w} />
                <BudgetPanel />
              </div>
            </div>
            <Transactions />
          </>
        )}
      </Loaded>
    </>
  );
}

function count(n: number, what: string): string {
  return n === 1 ? `1 ${what}` : `${n} ${what}s`;
}
