import { Button, MultiSelect, Select, TextInput } from '@mantine/core';
import { useSearchParams } from 'react-router';
import { useGet } from '../../api/hooks';
import { useOperatorAccounts, useOperatorProviders } from '../../api/operator';
import { SearchIcon } from '../../app/icons';
import { useDebouncedText } from '../../parts/debouncedText';
import '../deployments/deployments.css';

/** The filters of a list of all accounts. They are in the URL, so that a view can be linked to. */
export function useFilters() {
  const [params, setParams] = useSearchParams();
  const get = (name: string) => params.get(name) ?? undefined;
  const set = (name: string, value: string) =>
    setParams(
      (old) => {
        const next = new URLSearchParams(old);
        if (value) next.set(name, value);
        else next.delete(name);
        return next;
      },
      { replace: true },
    );
  return {
    get,
    set,
    clear: () => setParams({}, { replace: true }),
    any: ['search', 'status', 'provider', 'account', 'gpuType'].some((name) => params.has(name)),
  };
}

export type Filters = ReturnType<typeof useFilters>;

export function SearchFilter({ of: f, label, placeholder }: { of: Filters; label: string; placeholder: string }) {
  const [text, type] = useDebouncedText(f.get('search') ?? '', (value) => f.set('search', value));
  return (
    <TextInput
      type="search"
      aria-label={label}
      placeholder={placeholder}
      leftSection={<SearchIcon />}
      value={text}
      maxLength={64}
      onChange={(e) => type(e.currentTarget.value)}
      className="filter-search"
    />
  );
}

export function StatusFilter({ of: f, statuses, none }: { of: Filters; statuses: readonly string[]; none: string }) {
  const value = (f.get('status') ?? '').split(',').filter((s) => statuses.includes(s));
  return (
    <MultiSelect
      aria-label="Status"
      placeholder={value.length ? undefined : none}
      data={statuses.map((s) => ({ value: s, label: s[0]?.toUpperCase() + s.slice(1) }))}
      value={value}
      onChange={(v) => f.set('status', v.join(','))}
      clearable
      clearButtonProps={{ 'aria-label': 'Clear status' }}
      className="status-filter"
    />
  );
}

export function ProviderFilter({ of: f }: { of: Filters }) {
  const providers = useOperatorProviders().data ?? [];
  return (
    <Select
      aria-label="Provider"
      placeholder="Any provider"
      data={providers.map((p) => ({ value: p.slug, label: p.name }))}
      value={f.get('provider') ?? null}
      onChange={(v) => f.set('provider', v ?? '')}
      clearable
      clearButtonProps={{ 'aria-label': 'Clear provider' }}
    />
  );
}

/** The account that the list is narrowed to, with a button that lifts that. */
export function AccountFilter({ of: f }: { of: Filters }) {
  const id = f.get('account');
  const account = useGet(
    '/api/v1/operator/accounts/{id}',
    { params: { path: { id: id ?? '' } } },
    { enabled: id !== undefined },
  );
  if (!id) return null;
  const name = account.data?.name ?? id;
  return (
    <Button
      variant="default"
      size="compact-md"
      onClick={() => f.set('account', '')}
      aria-label={`Clear account ${name}`}
    >
      account: {name} ✕
    </Button>
  );
}

/** Narrows a list to one account. */
export function AccountChoice({ of: f }: { of: Filters }) {
  const accounts = useOperatorAccounts().data ?? [];
  const id = f.get('account');
  const data = accounts.map((a) => ({ value: a.id, label: a.name }));
  if (id && !accounts.some((a) => a.id === id)) data.unshift({ value: id, label: id });
  return (
    <Select
      aria-label="Account"
      placeholder="Any account"
      data={data}
      value={id ?? null}
      onChange={(v) => f.set('account', v ?? '')}
      searchable
      clearable
      clearButtonProps={{ 'aria-label': 'Clear account' }}
    />
  );
}
