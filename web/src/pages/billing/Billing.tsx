import { Button } from '@mantine/core';
import { useCan } from '../../api/session';
import { PageHead } from '../../parts/PageHead';
import { useNew } from '../../parts/useNew';
import { AutoTopUpPanel } from './AutoTopUpPanel';
import { DetailsPanel } from './DetailsPanel';
import { Invoices } from './Invoices';
import { MissingDetails } from './MissingDetails';
import { PaymentMethods } from './PaymentMethods';
import { TopUpDialog } from './TopUpDialog';
import { TopUpNotice } from './TopUpNotice';
import { TopUps } from './TopUps';
import './billing.css';

/** How the account pays in money, and its invoices. */
export default function Billing() {
  const write = useCan()('wallet:write');
  const [adding, topUp] = useNew();
  return (
    <>
      <PageHead title="Billing" actions={write && <Button onClick={topUp.open}>Top up</Button>}>
        Payments into the wallet, and the invoices of what was used.
      </PageHead>
      <TopUpNotice />
      <MissingDetails />
      <Invoices />
      <TopUps />
      <div className="billing-two">
        <div className="stack">
          <AutoTopUpPanel write={write} />
          <PaymentMethods write={write} />
        </div>
        <DetailsPanel write={write} />
      </div>
      {adding && write && <TopUpDialog onClose={topUp.close} />}
    </>
  );
}
