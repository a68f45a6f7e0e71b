import { Button, Checkbox, Select, TextInput } from '@mantine/core';
import { allTopUpsPath, type OperatorTopUp } from '../../../api/operator';
import { SearchIcon } from '../../../app/icons';
import { useDebouncedText } from '../../../parts/debouncedText';
import { EmptyState } from '../../../parts/EmptyState';
import { processors } from '../../billing/words';
import { AccountChoice, useFilters } from '../filters';
import { TopUpTable } from './TopUpTable';
import '../../deployments/deployments.css';

/** What each status means. A missing or unknown one fails the type check. */
const statuses: Record<OperatorTopUp['status'], string> = {
  pending: 'Pending',
  succeeded: 'Succeeded',
  failed: 'Failed',
  expired: 'Expired',
  refunded: 'Refunded',
  disputed: 'Disputed',
};

/** The top-ups of all accounts. */
export function AllTopUps() {
  const filters = useFilters();
  const [reference, type] = useDebouncedText(filters.get('reference') ?? '', (v) => filters.set('reference', v));
  const one = <K extends string>(name: string, all: Record<K, string>) => {
    const chosen = filters.get(name);
    return chosen !== undefined && chosen in all ? (chosen as K) : undefined;
  };
  const filter = {
    status: one('status', statuses),
    processor: one('processor', processors) as 'stripe' | 'transfer' | 'demo' | undefined,
    account: filters.get('account'),
    reference: filters.get('reference')?.trim() || undefined,
    problem: filters.get('problem') === 'true' ? true : undefined,
  };
  const any = Object.values(filter).some((v) => v !== undefined);
  const choice = (name: string, label: string, none: string, all: Record<string, string>) => (
    <Select
      aria-label={label}
      placeholder={none}
      data={Object.entries(all).map(([value, text]) => ({ value, label: text }))}
      value={filters.get(name) ?? null}
      onChange={(v) => filters.set(name, v ?? '')}
      clearable
      clearButtonProps={{ 'aria-label': `Clear ${label.toLowerCase()}` }}
      className="value-filter"
    />
  );
  return (
    <>
      <search className="filters-row">
        <TextInput
          type="search"
          aria-label="Reference"
          placeholder="Reference of the payment or transfer"
          leftSection={<SearchIcon />}
          value={reference}
          maxLength={200}
          onChange={(e) => type(e.currentTarget.value)}
          className="filter-search"
        />
        {choice('status', 'Status', 'Any status', statuses)}
        {choice('processor', 'Payment', 'Any payment', processors)}
        <AccountChoice of={filters} />
        <Checkbox
          label="With a problem"
          checked={filter.problem ?? false}
          onChange={(e) => filters.set('problem', e.currentTarget.checked ? 'true' : '')}
          style={{ alignSelf: 'center' }}
        />
      </search>
      <TopUpTable
        filter={filter}
        empty={
          any ? (
            <EmptyState
              title="No top-ups match your filters"
              action={
                <Button variant="default" onClick={filters.clear}>
                  Clear filters
                </Button>
              }
            >
              A reference is found as a whole only.
            </EmptyState>
          ) : (
            <EmptyState title="No top-ups yet" api={{ path: allTopUpsPath }}>
              What tenants pay into their wallets appears here.
            </EmptyState>
          )
        }
      />
    </>
  );
}
