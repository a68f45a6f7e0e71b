import { Alert, Button } from '@mantine/core';
import { Link } from 'react-router';
import { useCan, useMe } from '../../api/session';
import { useWallet } from '../../api/wallet';
import { Figure } from '../../parts/Facts';
import { Loaded } from '../../parts/Loaded';
import { Money } from '../../parts/Money';
import { micro, minus } from '../../parts/money';
import { PageHead } from '../../parts/PageHead';
import { runway } from '../../parts/time';
import { TopUpNotice } from '../billing/TopUpNotice';
import { BudgetPanel } from '../budgets/BudgetPanel';
import { ActiveResources } from './ActiveResources';
import { Spending } from './Spending';
import { Transactions } from './Transactions';
import './wallet.css';

export default function Wallet() {
  const wallet = useWallet();
  const me = useMe().data;
  const can = useCan();
  return (
    <>
      <PageHead
        title="Wallet"
        actions={
          can('wallet:write') && (
            <Button component={Link} to="/billing?new=1">
              Top up
            </Button>
          )
        }
      />
      <TopUpNotice />
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
