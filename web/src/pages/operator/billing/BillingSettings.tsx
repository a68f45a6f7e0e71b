import { useSettings } from '../../../api/settings';
import { ErrorBox } from '../../../parts/ErrorBox';
import { Panel } from '../../../parts/Panel';
import { useUnsaved } from '../settings/useUnsaved';
import { ExchangeRates } from './ExchangeRates';
import { InvoiceSettingsForm } from './InvoiceSettingsForm';
import { PaymentsForm } from './PaymentsForm';
import { TaxRates } from './TaxRates';
import './operatorBilling.css';

/** How tenants pay, who sells, and which tax applies. */
export function BillingSettings() {
  const track = useUnsaved();
  const settings = useSettings();
  if (settings.error && !settings.data)
    return <ErrorBox error={settings.error} retry={() => void settings.refetch()} />;
  return (
    <div className="stack" style={{ maxWidth: 860 }}>
      <Panel title="Payments">
        <PaymentsForm track={track} />
      </Panel>
      <Panel title="Seller and invoices">
        <InvoiceSettingsForm track={track} />
      </Panel>
      <Panel title="Tax rates" bare>
        <TaxRates />
      </Panel>
      <Panel title="Exchange rates" bare>
        <ExchangeRates />
      </Panel>
    </div>
  );
}
