import { Button, MultiSelect, Select, TextInput } from '@mantine/core';
import { useRef, useState } from 'react';
import type { Deployment } from '../../api/deployments';
import { useMe } from '../../api/session';
import { SearchIcon } from '../../app/icons';
import { useConfirm } from '../../parts/confirm';
import { useDebouncedText } from '../../parts/debouncedText';
import {
  chosenStatuses,
  type FilterName,
  filterLabels,
  filterNames,
  loadViews,
  saveViews,
  statusLabels,
  valuesOf,
} from './filters';

interface Props {
  params: URLSearchParams;
  set: (name: string, value: string) => void;
  onView: (query: string) => void;
  /** The rows that are loaded, whose values can be chosen. */
  rows: Deployment[];
}

/** The filters of the list, which stand in the address. */
export function Filters({ params, set, onView, rows }: Props) {
  const known = useKnown(rows);
  const status = chosenStatuses(params);
  return (
    <search className="filters-row">
      <Search value={params.get('search') ?? ''} onChange={(text) => set('search', text)} />
      <MultiSelect
        aria-label="Status"
        placeholder={status.length ? undefined : 'Active'}
        data={[
          { value: 'all', label: 'All' },
          ...Object.entries(statusLabels).map(([value, label]) => ({ value, label })),
        ]}
        value={status}
        onChange={(v) => set('status', v.at(-1) === 'all' ? 'all' : v.filter((s) => s !== 'all').join(','))}
        clearable
        clearButtonProps={{ 'aria-label': 'Clear status' }}
        className="status-filter"
      />
      {filterNames.map((name) => {
        const value = params.get(name);
        const options = known[name];
        if (options.size === 0 && !value) return null;
        const data = [...options].map(([v, label]) => ({ value: v, label }));
        if (value && !options.has(value)) data.push({ value, label: value });
        return (
          <Select
            key={name}
            aria-label={filterLabels[name]}
            placeholder={filterLabels[name]}
            data={data}
            value={value}
            onChange={(v) => set(name, v ?? '')}
            searchable={data.length > 8}
            clearable
            clearButtonProps={{ 'aria-label': `Clear ${filterLabels[name].toLowerCase()}` }}
            className="value-filter"
          />
        );
      })}
      <Views query={params.toString()} onView={onView} />
    </search>
  );
}

/** The values of all rows seen so far: a filter leaves one value, and others can be chosen. */
function useKnown(rows: Deployment[]): Record<FilterName, Map<string, string>> {
  const known = useRef<Record<FilterName, Map<string, string>>>(null);
  known.current ??= {
    project: new Map(),
    tag: new Map(),
    createdBy: new Map(),
    provider: new Map(),
    gpuType: new Map(),
  };
  for (const d of rows)
    for (const name of filterNames)
      for (const [value, label] of valuesOf(name, d)) known.current[name].set(value, label);
  return known.current;
}

function Search({ value, onChange }: { value: string; onChange: (text: string) => void }) {
  const [text, type] = useDebouncedText(value, onChange);
  return (
    <TextInput
      type="search"
      aria-label="Search deployments"
      placeholder="Name, tag, address or ID"
      leftSection={<SearchIcon />}
      value={text}
      onChange={(e) => type(e.currentTarget.value)}
      className="filter-search"
    />
  );
}

/** Saves the filters under a name, and applies saved ones. */
function Views({ query, onView }: { query: string; onView: (query: string) => void }) {
  const user = useMe().data?.user.id ?? '';
  const [views, setViews] = useState(() => loadViews(user));
  const confirm = useConfirm();
  const change = (next: typeof views) => {
    setViews(next);
    saveViews(user, next);
  };
  const current = views.find((v) => v.query === query);
  const ask = () =>
    confirm({
      title: 'Save view',
      body: <TextInput name="name" label="Name" maxLength={64} required data-autofocus autoComplete="off" />,
      action: 'Save view',
      run: (form) => {
        const name = String(form.get('name')).trim();
        change([...views.filter((v) => v.name !== name), { name, query }]);
      },
    });
  return (
    <>
      {views.length > 0 && (
        <Select
          aria-label="Saved view"
          placeholder="Saved views"
          data={views.map((v) => v.name)}
          value={current?.name ?? null}
          onChange={(name) => onView(views.find((v) => v.name === name)?.query ?? '')}
          className="value-filter"
        />
      )}
      {query !== '' && !current && (
        <Button variant="subtle" color="gray" size="compact-md" onClick={ask}>
          Save view
        </Button>
      )}
      {current && (
        <Button
          variant="subtle"
          color="gray"
          size="compact-md"
          onClick={() => change(views.filter((v) => v !== current))}
        >
          Delete view
        </Button>
      )}
    </>
  );
}
