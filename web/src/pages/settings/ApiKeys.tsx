import { Button, Switch } from '@mantine/core';
import { useState } from 'react';
import { Link } from 'react-router';
import type { Schema } from '../../api/client';
import { useNow } from '../../api/clock';
import { useAll, useSend, withId } from '../../api/hooks';
import { useCan } from '../../api/session';
import { useConfirm } from '../../parts/confirm';
import { EmptyState } from '../../parts/EmptyState';
import { PageHead } from '../../parts/PageHead';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import { useListRows, useSelection } from '../../parts/rows';
import { Chip } from '../../parts/Status';
import { Ago } from '../../parts/Time';
import { toast } from '../../parts/toast';
import { useNew } from '../../parts/useNew';
import { ApiKeyCreated } from './ApiKeyCreated';
import { ApiKeyDialog } from './ApiKeyDialog';
import { presetOf } from './scopes';

type APIKey = Schema['APIKey'];

export default function ApiKeys() {
  const keys = useAll('/api/v1/account/api-keys', {}, { refetchInterval: 60_000 });
  const write = useCan()('api-keys:write');
  const confirm = useConfirm();
  const revoke = useSend('delete', '/api/v1/account/api-keys/{id}');
  const [editing, setEditing] = useState<APIKey | null>(null);
  const [adding, creating] = useNew();
  const [created, setCreated] = useState<Schema['NewAPIKey'] | null>(null);
  const [showInactive, setShowInactive] = useState(false);
  const now = useNow(60_000);
  const inactive = (k: APIKey) => k.revokedAt !== null || (k.expiresAt !== null && Date.parse(k.expiresAt) <= now);
  const visible = keys.data?.filter((k) => showInactive || !inactive(k));
  const rows = useListRows(
    { ...keys, data: visible },
    {
      sorts: { name: (k) => k.name, lastUsedAt: (k) => k.lastUsedAt, expiresAt: (k) => k.expiresAt },
      text: (k) => `${k.name} ${k.prefix} ${k.id}`,
    },
  );
  const selection = useSelection(undefined, `${rows.search?.value ?? ''} ${showInactive}`);
  const inactiveCount = keys.data?.filter(inactive).length ?? 0;
  const create = write && <Button onClick={creating.open}>Create API key</Button>;

  const askToRevoke = (chosen: APIKey[]) => {
    const what = chosen.length === 1 ? (chosen[0]?.name ?? '') : `${chosen.length} API keys`;
    confirm({
      title: `Revoke ${what}?`,
      body: 'Requests with a revoked key fail at once. This cannot be undone.',
      action: 'Revoke',
      danger: true,
      run: async () => {
        for (const k of chosen) await revoke.mutateAsync(withId(k.id));
        selection.clear();
        toast(`${what} revoked`);
      },
    });
  };

  return (
    <>
      <PageHead title="API keys" actions={(keys.data?.length ?? 0) > 0 && create}>
        Use API keys to access Billet from scripts and tools. Keys are shown once.
        {write && (
          <>
            {' '}
            Have a CLI login code? <Link to="/device">Enter it here</Link>.
          </>
        )}
      </PageHead>
      <ResourceTable
        label="API keys"
        columns={columns(inactive)}
        rows={rows}
        rowKey={(k) => k.id}
        name={(k) => k.name}
        empty={
          inactiveCount > 0 ? (
            <div className="panel panel-body dim">No active API keys.</div>
          ) : (
            <EmptyState title="No API keys yet" action={create} api={{ path: '/api/v1/inventory/offers?search=b200' }}>
              Create a key and put it into BILLET_API_KEY. This command then lists the offers with a B200:
            </EmptyState>
          )
        }
        selection={
          write
            ? {
                ...selection,
                label: (k) => `Select ${k.name}`,
                possible: (k) => !inactive(k),
                actions: (
                  <Button
                    size="compact-sm"
                    variant="default"
                    className="danger-button"
                    onClick={() => askToRevoke(rows.loaded.filter((k) => selection.chosen.includes(k.id)))}
                  >
                    Revoke selected
                  </Button>
                ),
              }
            : undefined
        }
        actions={
          write
            ? (k) =>
                inactive(k)
                  ? []
                  : [
                      { text: 'Edit', run: () => setEditing(k) },
                      { text: 'Revoke', run: () => askToRevoke([k]), danger: true },
                    ]
            : undefined
        }
        quiet={inactive}
      />
      {inactiveCount > 0 && (
        <Switch
          mt="sm"
          size="xs"
          label={`Show revoked and expired (${inactiveCount})`}
          checked={showInactive}
          onChange={(e) => setShowInactive(e.currentTarget.checked)}
        />
      )}
      {(editing || (adding && write)) && (
        <ApiKeyDialog
          of={editing}
          onClose={editing ? () => setEditing(null) : creating.close}
          onCreated={(k) => {
            setEditing(null);
            if (adding) creating.close();
            setCreated(k);
          }}
        />
      )}
      {created && <ApiKeyCreated of={created} onClose={() => setCreated(null)} />}
    </>
  );
}

function columns(inactive: (k: APIKey) => boolean): Column<APIKey>[] {
  return [
    {
      key: 'name',
      head: 'Name',
      sort: 'name',
      cell: (k) => (
        <>
          <span className="cell-main strong">{k.name}</span>
          <span className="cell-sub mono">{k.prefix}</span>
        </>
      ),
    },
    {
      key: 'permissions',
      head: 'Permissions',
      cell: (k) => (
        <>
          <span title={k.scopes.join('\n')}>{presetOf(k.scopes)}</span>
          {k.allowedNetworks.length > 0 && (
            <span className="cell-sub" title={k.allowedNetworks.join('\n')}>
              from {k.allowedNetworks.slice(0, 2).join(', ')}
              {k.allowedNetworks.length > 2 && ` and ${k.allowedNetworks.length - 2} more`}
            </span>
          )}
          {k.spendingLimits && <span className="cell-sub">with spending limits</span>}
          {k.project && <span className="cell-sub">project {k.project} only</span>}
        </>
      ),
    },
    {
      key: 'used',
      head: 'Last used',
      sort: 'lastUsedAt',
      cell: (k) => (
        <>
          <Ago at={k.lastUsedAt} never="Never" />
          <span className="cell-sub">
            created <Ago at={k.createdAt} />
            {` by ${k.createdBy.name}`}
          </span>
        </>
      ),
    },
    {
      key: 'expires',
      head: 'Expires',
      sort: 'expiresAt',
      width: '150px',
      cell: (k) =>
        k.revokedAt ? (
          <Chip>revoked</Chip>
        ) : inactive(k) ? (
          <Chip>expired</Chip>
        ) : (
          <Ago at={k.expiresAt} never="Never" />
        ),
    },
  ];
}
