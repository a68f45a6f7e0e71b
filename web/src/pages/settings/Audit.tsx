import { TextInput } from '@mantine/core';
import { useMemo } from 'react';
import { Link, useSearchParams } from 'react-router';
import type { Query, Schema } from '../../api/client';
import { pageQuery } from '../../api/hooks';
import { useDebouncedText } from '../../parts/debouncedText';
import { PageHead } from '../../parts/PageHead';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import { usePagedRows } from '../../parts/rows';
import { Chip } from '../../parts/Status';
import { Time } from '../../parts/Time';

type Entry = Schema['AuditEntry'];
type Filter = Pick<Query<'/api/v1/account/audit'>, 'actor' | 'action' | 'subject'>;

const filters: { name: keyof Filter; label: string; hint: string }[] = [
  { name: 'actor', label: 'Actor', hint: 'Actor ID' },
  { name: 'action', label: 'Action', hint: 'Action, e.g. createDeployment' },
  { name: 'subject', label: 'Resource', hint: 'Resource ID' },
];

export default function Audit() {
  const [params, setParams] = useSearchParams();
  const filter = useMemo(
    () => Object.fromEntries(filters.flatMap(({ name }) => (params.get(name) ? [[name, params.get(name)]] : []))),
    [params],
  ) as Filter;
  const rows = usePagedRows((page, limit) =>
    pageQuery('/api/v1/account/audit', { params: { query: { ...filter, page, limit } } }),
  );
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
  return (
    <>
      <PageHead title="Audit log">Immutable record of changes in this account.</PageHead>
      <search className="filters-row audit-filters">
        {filters.map((f) => (
          <Field key={f.name} {...f} value={filter[f.name] ?? ''} onChange={(value) => set(f.name, value)} />
        ))}
      </search>
      <ResourceTable
        label="Audit log"
        columns={columns(set)}
        rows={rows}
        rowKey={(e) => e.id}
        empty={
          <div className="panel panel-body dim">
            {Object.keys(filter).length > 0 ? 'No entries match.' : 'No entries yet.'}
          </div>
        }
        cardHeight={172}
        rowHeight={56}
      />
    </>
  );
}

interface FieldProps {
  label: string;
  hint: string;
  value: string;
  onChange: (value: string) => void;
}

function Field({ label, hint, value, onChange }: FieldProps) {
  const [text, type] = useDebouncedText(value, onChange, 300);
  return (
    <TextInput
      type="search"
      aria-label={label}
      placeholder={hint}
      value={text}
      onChange={(e) => type(e.currentTarget.value)}
    />
  );
}

function columns(set: (name: keyof Filter, value: string) => void): Column<Entry>[] {
  const pick = (name: keyof Filter, value: string, text: string) => (
    <button type="button" className="bare" onClick={() => set(name, value)} title={`Filter by ${value}`}>
      {text}
    </button>
  );
  return [
    { key: 'at', head: 'Date', width: '210px', cell: (e) => <Time at={e.at} seconds /> },
    {
      key: 'actor',
      head: 'Actor',
      cell: (e) => (
        <>
          {pick('actor', e.actor.id, e.actor.name || e.actor.id || e.actor.kind)}{' '}
          {e.actor.kind !== 'user' && <Chip>{e.actor.kind}</Chip>}
        </>
      ),
    },
    { key: 'action', head: 'Action', cell: (e) => pick('action', e.action, words(e.action)) },
    {
      key: 'resource',
      head: 'Resource',
      cell: (e) =>
        e.subject ? (
          <>
            <span className="cell-main mono">{pick('subject', e.subject, e.subject)}</span>
            {pageOf(e.subject) && (
              <Link to={pageOf(e.subject) ?? ''} className="link small audit-link">
                Open {e.subject.startsWith('dep_') ? 'deployment' : 'list'}
              </Link>
            )}
          </>
        ) : (
          '–'
        ),
    },
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

/** The page of a resource, or of its kind. */
function pageOf(subject: string): string | null {
  const pages: Record<string, string> = {
    dep: `/deployments/${subject}`,
    vol: '/volumes',
    ssh: '/ssh-keys',
    key: '/settings/api-keys',
    whk: '/settings/webhooks',
    usr: '/settings/members',
    inv: '/settings/members',
  };
  return pages[subject.slice(0, 3)] ?? null;
}

/** "createSshKey" as "create SSH key". */
function words(action: string): string {
  return action
    .replaceAll(/([a-z])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .replaceAll(/\b(api|oidc|ssh|totp)\b/g, (name) => name.toUpperCase());
}
