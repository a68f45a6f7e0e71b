import { Alert } from '@mantine/core';
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
          <Money usd={w.available} />
        </Figure>
        <Figure name="Held" note="first hours of what comes up">
          <Money usd={w.held} />
        </Figure>
        <Figure name="Balance" note="available and held">
          <Money usd={w.balance} />
        </Figure>
        <Figure name="Costs now" note={`${w.activeDeployments.length} running, ${w.volumes.length} volumes`}>
          <Money usd={w.hourlyCost} per="/h" />
        </Figure>
        <Figure name="Lasts" note="at what it costs now">
          {w.hoursLeft === null ? '–' : runway(w.hoursLeft)}
        </Figure>
      </div>
      {w.available < w.minimumToDeploy && (
        <Alert color="amber" variant="outline" mt="md" title="Too little to deploy">
          <Money usd={w.minimumToDeploy} /> must be available. Ask whoever runs this cloud for credit; they give it with{' '}
          <code className="mono">
            billetd wallet credit --account {me?.account.id} --amount {w.minimumToDeploy}
          </code>{' '}
          or under Operator → Accounts.
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
