import { TextInput } from '@mantine/core';
import { useState } from 'react';
import { useAddExchangeRates } from '../../../api/billingSettings';
import { fieldErrors } from '../../../api/hooks';
import { FormDialog } from '../../../parts/FormDialog';
import { toast } from '../../../parts/toast';
import './operatorBilling.css';

const fields = [
  { name: 'currency', label: 'Currency', description: 'Three-letter code, such as EUR', most: 3 },
  { name: 'from', label: 'First day', description: 'In UTC, such as 2028-01-31', most: 10 },
  { name: 'rate', label: 'Amount in the currency', description: 'Exact, such as 0.9123', most: 25 },
  { name: 'dollars', label: 'Amount in US dollars', description: 'Of the same value; usually 1', most: 25 },
  { name: 'source', label: 'Source', description: 'As on documents, such as ECB', most: 64 },
] as const;

/** Adds the rate of a day, or replaces it. */
export function ExchangeRateDialog({ currency, onClose }: { currency: string; onClose: () => void }) {
  const add = useAddExchangeRates();
  const [values, setValues] = useState({ currency, from: '', rate: '', dollars: '1', source: '' });
  const errors = fieldErrors(add.error);
  const rate = Object.fromEntries(Object.entries(values).map(([name, text]) => [name, text.trim()])) as typeof values;
  const submit = () =>
    add.mutate(
      { body: { rates: [{ ...rate, currency: rate.currency.toUpperCase() }] } },
      {
        onSuccess: () => {
          toast('Exchange rate added');
          onClose();
        },
      },
    );
  return (
    <FormDialog
      title="Add an exchange rate"
      submit="Add exchange rate"
      disabled={Object.values(rate).some((text) => text === '')}
      busy={add.isPending}
      error={errors.general}
      onSubmit={submit}
      onClose={onClose}
    >
      <div>
        If 1 euro is 1.0961 US dollars, enter these two amounts. A rate of the same currency and day is replaced.
        Documents that were issued keep theirs.
      </div>
      <div className="rate-fields">
        {fields.map((f) => (
          <TextInput
            key={f.name}
            label={f.label}
            description={f.description}
            maxLength={f.most}
            value={values[f.name]}
            onChange={(e) => setValues({ ...values, [f.name]: e.currentTarget.value })}
            error={errors.at(`rates[0].${f.name}`)}
            autoComplete="off"
            required
          />
        ))}
      </div>
    </FormDialog>
  );
}
