import { useWallet } from '../../api/wallet';
import { runway } from '../../app/Funds';
import { ErrorBox } from '../../parts/ErrorBox';
import { Figure } from '../../parts/Facts';
import { Money } from '../../parts/Money';
import { PageHead } from '../../parts/PageHead';
import { PageSkeleton } from '../../parts/Skeletons';
import { Running } from './Running';
import { Spending } from './Spending';
import { Statement } from './Statement';
import './wallet.css';

export default function Wallet() {
  const wallet = useWallet();
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
      <div className="wallet-two">
        <Spending />
        <Running wallet={w} />
      </div>
      <Statement />
    </>
  );
}
