import { Button, Checkbox, CloseButton, Select, TextInput } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { useState } from 'react';
import { useAll } from '../../api/hooks';
import { useProviders, useRegions } from '../../api/offers';
import { SearchIcon } from '../../app/icons';
import { useDebouncedText } from '../../parts/debouncedText';
import { formatMoney, micro } from '../../parts/money';
import { type Filters, noFilters, typeNames } from './filters';

interface Props {
  filters: Filters;
  set: (changes: Partial<Record<keyof Filters, string | null>>) => void;
}

export function FilterBar({ filters, set }: Props) {
  const gpus = useAll('/api/v1/inventory/gpu-types', {}, { staleTime: 60_000 }).data ?? [];
  const regions = useRegions().data ?? [];
  const providers = useProviders().data;
  const narrow = useMediaQuery('(max-width: 47.99em)', undefined, { getInitialValueInEffect: false });
  const [open, setOpen] = useState(false);
  const from = (price: number | null) => (price === null ? 'sold out' : `from ${formatMoney(micro(price), 2, 2)}`);
  // The catalog has a GPU type once for each size of its memory; the filter is the type alone.
  const gpuTypes = new Map<string, number | null>();
  for (const g of gpus) {
    const before = gpuTypes.get(g.gpuType) ?? null;
    const price = g.lowestHourlyPricePerGpu;
    gpuTypes.set(g.gpuType, before === null ? price : price === null ? before : Math.min(before, price));
  }
  const shown = !narrow || open;
  const count = Object.entries(filters).filter(([n]) => n !== 'search' && n !== 'sort').length;
  return (
    <search className="filters">
      <Search value={filters.search ?? ''} onChange={(search) => set({ search })} />
      {narrow && (
        <Button variant="default" onClick={() => setOpen(!open)} aria-expanded={open}>
          Filters{count > 0 ? ` (${count})` : ''}
        </Button>
      )}
      {shown && (
        <>
          <Select
            aria-label="GPU type"
            placeholder="Any GPU"
            clearable
            searchable
            value={filters.gpuType ?? null}
            onChange={(gpuType) => set({ gpuType })}
            data={[...gpuTypes].map(([value, price]) => ({ value, label: value, price }))}
            renderOption={({ option }) => (
              <Option name={option.label} note={`${from(gpuTypes.get(option.value) ?? null)} / GPU`} />
            )}
            className="filter"
            comboboxProps={{ width: 290, position: 'bottom-start' }}
          />
          <Select
            aria-label="GPU count"
            placeholder="Any count"
            clearable
            value={filters.gpuCount ?? null}
            onChange={(gpuCount) => set({ gpuCount })}
            data={['1', '2', '4', '8', '16', '32', '64'].map((n) => ({
              value: n,
              label: n === '1' ? '1 GPU' : `${n} GPUs`,
            }))}
            className="filter filter-short"
          />
          <Select
            aria-label="Type"
            placeholder="Any type"
            clearable
            value={filters.instanceType ?? null}
            onChange={(instanceType) => set({ instanceType })}
            data={Object.entries(typeNames).map(([value, label]) => ({ value, label }))}
            className="filter filter-short"
          />
          <Select
            aria-label="Region"
            placeholder="Any region"
            clearable
            searchable
            value={filters.region ?? null}
            onChange={(region) => set({ region })}
            data={[...new Map(regions.map((r) => [r.slug, r.name]))].map(([value, label]) => ({
              value,
              label,
            }))}
            renderOption={({ option }) => {
              // Two providers may share a region's slug; the filter matches both.
              const here = regions.filter((x) => x.slug === option.value);
              const country = here.find((r) => r.country)?.country;
              return (
                <Option
                  name={`${option.label}${country ? `, ${country}` : ''}`}
                  note={`${here.reduce((n, r) => n + r.availableOffers, 0)} available`}
                />
              );
            }}
            className="filter"
            comboboxProps={{ width: 260, position: 'bottom-start' }}
          />
          <Select
            aria-label="Provider"
            placeholder="Any provider"
            clearable
            value={filters.provider ?? null}
            onChange={(provider) => set({ provider })}
            data={(providers ?? []).map((r) => ({ value: r.slug, label: r.name }))}
            renderOption={({ option }) => {
              const r = providers?.find((x) => x.slug === option.value);
              return (
                <Option
                  name={option.label}
                  note={r?.status === 'up' ? `${r.availableOffers} available` : (r?.status ?? '')}
                />
              );
            }}
            className="filter"
            comboboxProps={{ width: 260, position: 'bottom-start' }}
          />
          <MaxPrice value={filters.maxHourlyPrice ?? ''} onChange={(maxHourlyPrice) => set({ maxHourlyPrice })} />
          <Checkbox
            label="Include sold out"
            checked={filters.available === 'all'}
            onChange={(e) => set({ available: e.currentTarget.checked ? 'all' : null })}
          />
          {(count > 0 || filters.search) && (
            <Button variant="subtle" color="gray" size="compact-sm" onClick={() => set(noFilters)}>
              Clear filters
            </Button>
          )}
        </>
      )}
    </search>
  );
}

function Option({ name, note }: { name: string; note: string }) {
  return (
    <span style={{ display: 'flex', justifyContent: 'space-between', width: '100%', gap: 12 }}>
      <span className="truncate">{name}</span>
      <span className="dim small nowrap">{note}</span>
    </span>
  );
}

function Search({ value, onChange }: { value: string; onChange: (text: string) => void }) {
  const [text, type] = useDebouncedText(value, onChange);
  return (
    <TextInput
      type="search"
      aria-label="Search offers"
      placeholder="Search: b200, dallas, infiniband"
      leftSection={<SearchIcon />}
      rightSection={text ? <CloseButton size="sm" aria-label="Clear search" onClick={() => type('')} /> : null}
      value={text}
      onChange={(e) => type(e.currentTarget.value)}
      className="filter-search"
    />
  );
}

function MaxPrice({ value, onChange }: { value: string; onChange: (text: string | null) => void }) {
  const [text, type] = useDebouncedText(value, onChange, 350);
  return (
    <TextInput
      aria-label="Maximum price per hour in US dollars"
      placeholder="Max $/hr"
      inputMode="decimal"
      value={text}
      onChange={(e) => {
        // "12." stays in the field and filters as 12.
        const next = e.currentTarget.value.replace(/[^\d.]/g, '');
        type(next, Number(next) > 0 ? next.replace(/\.$/, '') : '');
      }}
      className="filter filter-short"
    />
  );
}
