import { Button, FileButton, Group, Radio, Stack, Textarea, TextInput } from '@mantine/core';
import { useState } from 'react';
import { useImportExchangeRates } from '../../../api/billingSettings';
import { fieldErrors } from '../../../api/hooks';
import { FormDialog } from '../../../parts/FormDialog';
import { toast } from '../../../parts/toast';
import './operatorBilling.css';

const directions = {
  units_per_base: "Units of the column's currency for 1 of the base",
  base_per_unit: "Units of the base for 1 of the column's currency",
} as const;

const hint =
  'A column Date, and one for each currency. Base and direction are set for tables of the European Central Bank.';

/** The most characters that the API takes. */
const most = 1_000_000;

/** Imports the table of a central bank. */
export function ExchangeRateImport({ currency, onClose }: { currency: string; onClose: () => void }) {
  const send = useImportExchangeRates();
  const [csv, setCSV] = useState('');
  const [values, setValues] = useState({ source: '', currency, base: 'EUR', from: '' });
  const [direction, setDirection] = useState<keyof typeof directions>('units_per_base');
  const errors = fieldErrors(send.error);
  const large = csv.length > most;
  const input = (name: keyof typeof values, label: string, description: string, most: number, required = true) => (
    <TextInput
      label={label}
      description={description}
      maxLength={most}
      value={values[name]}
      onChange={(e) => setValues({ ...values, [name]: e.currentTarget.value })}
      error={errors.at(name)}
      autoComplete="off"
      required={required}
    />
  );
  const choose = (text: string) => {
    setCSV(text);
    send.reset(); // what was wrong with the table before
  };
  const submit = () =>
    send.mutate(
      {
        body: {
          csv,
          source: values.source.trim(),
          currency: values.currency.trim().toUpperCase(),
          base: values.base.trim().toUpperCase(),
          direction,
          ...(values.from.trim() && { from: values.from.trim() }),
        },
      },
      {
        onSuccess: (imported) => {
          toast(imported.count === 1 ? 'Rate of 1 day imported' : `Rates of ${imported.count} days imported`);
          onClose();
        },
      },
    );
  return (
    <FormDialog
      title="Import exchange rates"
      submit="Import exchange rates"
      size="lg"
      disabled={!csv.trim() || large || !values.source.trim() || !values.currency.trim() || !values.base.trim()}
      busy={send.isPending}
      error={errors.general}
      onSubmit={submit}
      onClose={onClose}
    >
      <Textarea
        label="CSV"
        description={hint}
        placeholder={'Date,USD,PLN\n2028-01-31,1.0961,4.3012'}
        rows={6}
        value={csv}
        onChange={(e) => setCSV(e.currentTarget.value)}
        error={
          large
            ? 'The table is too large. Remove the lines of old days, or import it with billetd invoices exchange-rates.'
            : errors.at('csv')
        }
        spellCheck={false}
        required
      />
      <Group>
        <FileButton accept=".csv,text/*" onChange={(file) => void file?.text().then(choose)}>
          {(props) => (
            <Button {...props} variant="default" size="xs">
              Choose a file
            </Button>
          )}
        </FileButton>
      </Group>
      <div className="rate-fields">
        {input('source', 'Source', 'As on documents, such as ECB', 64)}
        {input('currency', 'Currency', 'The one whose rates are imported', 3)}
        {input('base', 'Base', 'What all columns are compared with', 3)}
        {input('from', 'First day', 'Leave empty for all days', 10, false)}
      </div>
      <Radio.Group
        label="Numbers in the table"
        value={direction}
        onChange={(value) => setDirection(value as keyof typeof directions)}
        error={errors.at('direction')}
      >
        <Stack gap={10} mt={8}>
          {Object.entries(directions).map(([value, label]) => (
            <Radio key={value} size="md" value={value} label={label} />
          ))}
        </Stack>
      </Radio.Group>
    </FormDialog>
  );
}
