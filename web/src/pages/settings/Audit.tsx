import { Autocomplete, Button, Select, TextInput } from '@mantine/core';
import { useMemo } from 'react';
import { Link, useSearchParams } from 'react-router';
import type { Query, Schema } from '../../api/client';
import { pageQuery, useAll } from '../../api/hooks';
import { useCan } from '../../api/session';
import { useDebouncedText } from '../../parts/debouncedText';
import { PageHead } from '../../parts/PageHead';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import { usePagedRows } from '../../parts/rows';
import { Chip } from '../../parts/Status';
import { Time } from '../../parts/Time';
import { actions, actionWords, pageOf } from './audit';

type Entry = Schema['AuditEntry'];
const filterNames = ['actor', 'action', 'subject'] as const;
type Name = (typeof filterNames)[number];
type Filter = Pick<Query<'/api/v1/account/audit'>, Name>;
type Set = (name: Name, value: string) => void;

export default function Audit() {
  const [params, setParams] = useSearchParams();
  const filter = useMemo(
    () => Object.fromEntries(filterNames.flatMap((n) => (params.get(n) ? [[n, params.get(n)]] : []))),
    [params],
  ) as Filter;
  const rows = usePagedRows((page, limit) =>
    pageQuery('/api/v1/account/audit', { params: { query: { ...filter, page, limit } } }),
  );
  const set: Set = (name, value) =>
    setParams(
      (old) => {
        const next = new URLSearchParams(old);
        if (value) next.set(name, value);
        else next.delete(name);
        return next;
      },
      { replace: true },
    );
  const filtered = Object.keys(filter).length > 0;
  return (
    <>
      <PageHead title="Audit log">Immutable record of changes in this account.</PageHead>
      <search className="filters-row audit-filters">
        <ActorFilter value={filter.actor ?? null} set={set} seen={rows.loaded} />
        <ActionFilter value={filter.action ?? ''} set={set} />
        <SubjectFilter value={filter.subject ?? ''} set={set} seen={rows.loaded} />
        {filtered && (
          <Button
            variant="subtle"
            color="gray"
            size="compact-md"
            className="audit-clear"
            onClick={() => setParams({}, { replace: true })}
          >
            Clear filters
          </Button>
        )}
      </search>
      <ResourceTable
        label="Audit log"
        columns={columns(set)}
        rows={rows}
        rowKey={(e) => e.id}
        empty={<div className="panel panel-body dim">{filtered ? 'No entries match.' : 'No entries yet.'}</div>}
        href={(e) => pageOf(e.subject)}
        cardHeight={196}
        rowHeight={56}
      />
    </>
  );
}

/** The members and API keys by name, and others whose entries are in view. */
function ActorFilter({ value, set, seen }: { value: string | null; set: Set; seen: Entry[] }) {
  const can = useCan();
  const members = useAll('/api/v1/account/members', {}, { enabled: can('members:read') }).data ?? [];
  const keys = useAll('/api/v1/account/api-keys', {}, { enabled: can('api-keys:read') }).data ?? [];
  const names = new Map<string, string>();
  for (const m of members) names.set(m.id, m.name || m.email);
  for (const k of keys) names.set(k.id, `${k.name} (API key)`);
  for (const { actor } of seen) if (actor.id && !names.has(actor.id)) names.set(actor.id, actor.name || actor.id);
  if (value && !names.has(value)) names.set(value, value);
  return (
    <Select
      aria-label="Actor"
      placeholder="Any actor"
      data={[...names].map(([id, label]) => ({ value: id, label }))}
      value={value}
      onChange={(v) => set('actor', v ?? '')}
      searchable
      clearable
      clearButtonProps={{ 'aria-label': 'Clear actor' }}
      nothingFoundMessage="No such member or key"
    />
  );
}

function ActionFilter({ value, set }: { value: string; set: Set }) {
  const [text, type] = useDebouncedText(value, (v) => set('action', v), 300);
  return (
    <Autocomplete
      aria-label="Action"
      placeholder="Any action"
      data={actions}
      value={text}
      onChange={(v) => type(v)}
      limit={20}
      clearable
      clearButtonProps={{ 'aria-label': 'Clear action' }}
    />
  );
}

function SubjectFilter({ value, set, seen }: { value: string; set: Set; seen: Entry[] }) {
  const [text, type] = useDebouncedText(value, (v) => set('subject', v), 300);
  const name = seen.find((e) => e.subject === value)?.subjectName;
  return (
    <TextInput
      type="search"
      aria-label="Resource"
      placeholder="Resource ID"
      value={text}
      onChange={(e) => type(e.currentTarget.value)}
      rightSection={name ? <span className="audit-name dim">{name}</span> : undefined}
      rightSectionWidth={name ? 140 : undefined}
    />
  );
}

function columns(set: Set): Column<Entry>[] {
  const pick = (name: Name, value: string, text: string) => (
    <button type="button" className="bare" onClick={() => set(name, value)} title={`Show only ${text}`}>
      {text}
    </button>
  );
  return [
    { key: 'at', head: 'Date', width: '210px', cell: (e) => <Time at={e.at} seconds /> },
    {
      key: 'actor',
      head: 'Actor',
      cell: (e) => {
        const name = e.actor.name || e.actor.id || e.actor.kind;
        return (
          <>
            {e.actor.id ? pick('actor', e.actor.id, name) : name}{' '}
            {e.actor.kind !== 'user' && <Chip>{e.actor.kind}</Chip>}
          </>
        );
      },
    },
    {
      key: 'action',
      head: 'Action',
      cell: (e) => (
        <>
          {pick('action', e.action, actionWords(e.action))}
          {e.detail && (
            <span className="cell-sub" title={e.detail}>
              {e.detail}
            </span>
          )}
        </>
      ),
    },
    { key: 'resource', head: 'Resource', cell: (e) => <Subject of={e} set={set} /> },
    {
      key: 'from',
      head: 'IP address',
      from: 860,
      cell: (e) => (
        <>
          <span className="cell-main">{e.address}</span>
          <span className="cell-sub mono">{e.requestId}</span>
        </>
      ),
    },
  ];
}

/** What was changed, by name, with a link to it and a filter by it. */
function Subject({ of: e, set }: { of: Entry; set: Set }) {
  if (!e.subject) return '–';
  const page = pageOf(e.subject);
  const name = e.subjectName || e.subject;
  return (
    <>
      <span className="audit-subject">
        {page ? (
          <Link to={page} className="plain-link truncate">
            {name}
          </Link>
        ) : (
          <span className="truncate">{name}</span>
        )}
        <button
          type="button"
          className="bare small dim"
          aria-label={`Filter by ${name}`}
          onClick={() => set('subject', e.subject)}
        >
          Filter
        </button>
      </span>
      {e.subjectName && <span className="cell-sub mono">{e.subject}</span>}
    </>
  );
}
