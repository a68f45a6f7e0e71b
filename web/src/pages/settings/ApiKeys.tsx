import { ActionIcon, Button, Menu } from '@mantine/core';
import { useState } from 'react';
import { Link } from 'react-router';
import { type APIKey, type NewAPIKey, useApiKeys, useRevokeApiKey } from '../../api/apiKeys';
import { useNow } from '../../api/clock';
import { useCan } from '../../api/session';
import { MoreIcon } from '../../app/icons';
import { Confirm } from '../../parts/Confirm';
import { EmptyState } from '../../parts/EmptyState';
import { ErrorBox } from '../../parts/ErrorBox';
import { PageHead } from '../../parts/PageHead';
import { PageSkeleton } from '../../parts/Skeletons';
import { Chip } from '../../parts/Status';
import { Ago } from '../../parts/Time';
import '../../parts/table.css';
import { toast } from '../../parts/toast';
import { KeyDialog } from './KeyDialog';
import { Shown } from './KeyShown';
import { presetOf } from './scopes';

export default function ApiKeys() {
  const keys = useApiKeys();
  const can = useCan();
  const write = can('api-keys:write');
  const [editing, setEditing] = useState<APIKey | 'new' | null>(null);
  const [made, setMade] = useState<NewAPIKey | null>(null);
  const [revoking, setRevoking] = useState<APIKey | null>(null);
  const [all, setAll] = useState(false);
  const revoke = useRevokeApiKey();
  const now = useNow(60_000);
  const dead = (k: APIKey) => k.revokedAt !== null || (k.expiresAt !== null && Date.parse(k.expiresAt) <= now);
  const rows = (keys.data ?? []).filter((k) => all || !dead(k));
  const past = (keys.data ?? []).filter(dead).length;
  const create = <Button onClick={() => setEditing('new')}>Create a key</Button>;

  return (
    <>
      <PageHead title="API Keys" actions={write && (keys.data?.length ?? 0) > 0 && create}>
        For programs: everything here can be done over the API too. A key is shown once, when it is made.
        {write && (
          <>
            {' '}
            Have a code from a program? <Link to="/device">Enter it here</Link>.
          </>
        )}
      </PageHead>
      {!keys.data ? (
        keys.isError ? (
          <ErrorBox error={keys.error} retry={() => void keys.refetch()} />
        ) : (
          <PageSkeleton />
        )
      ) : keys.data.length === 0 ? (
        <EmptyState
          title="Make your first key"
          action={write && create}
          api={{ path: '/api/v1/inventory/offers?search=b200' }}
        >
          Put it into BILLET_KEY, and this lists what can be deployed:
        </EmptyState>
      ) : (
        <section className="panel table-wrap" aria-label="API keys">
          <table className="plain-table">
            <thead>
              <tr>
                <th scope="col">Name</th>
                <th scope="col">May</th>
                <th scope="col" className="wide">
                  Last used
                </th>
                <th scope="col" className="wide">
                  Expires
                </th>
                <th scope="col">
                  <span className="sr">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.map((k) => (
                <tr key={k.id}>
                  <td>
                    <span className="strong">{k.name}</span>
                    <span className="cell-sub mono">{k.prefix}</span>
                  </td>
                  <td>
                    <span title={k.scopes.join('\n')}>{presetOf(k.scopes)}</span>
                    {k.allowedNetworks.length > 0 && (
                      <span className="cell-sub" title={k.allowedNetworks.join('\n')}>
                        from {k.allowedNetworks.slice(0, 2).join(', ')}
                        {k.allowedNetworks.length > 2 && ` and ${k.allowedNetworks.length - 2} more`}
                      </span>
                    )}
                    {k.spendingLimits && <span className="cell-sub">with spending limits</span>}
                  </td>
                  <td className="wide">
                    <Ago at={k.lastUsedAt} never="never" />
                    <span className="cell-sub">
                      made <Ago at={k.createdAt} />
                      {k.createdBy && ` by ${k.createdBy.email}`}
                    </span>
                  </td>
                  <td className="wide">
                    {k.revokedAt ? (
                      <Chip>revoked</Chip>
                    ) : dead(k) ? (
                      <Chip>expired</Chip>
                    ) : (
                      <Ago at={k.expiresAt} never="never" />
                    )}
                  </td>
                  <td data-end>
                    {write && !dead(k) && (
                      <Menu position="bottom-end">
                        <Menu.Target>
                          <ActionIcon variant="subtle" color="gray" aria-label={`Actions for ${k.name}`}>
                            <MoreIcon />
                          </ActionIcon>
                        </Menu.Target>
                        <Menu.Dropdown>
                          <Menu.Item onClick={() => setEditing(k)}>Change</Menu.Item>
                          <Menu.Item className="danger-button" onClick={() => setRevoking(k)}>
                            Revoke
                          </Menu.Item>
                        </Menu.Dropdown>
                      </Menu>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
      {past > 0 && (
        <Button variant="subtle" color="gray" size="compact-sm" mt="sm" onClick={() => setAll(!all)}>
          {all ? 'Only those that work' : `Also ${past} revoked or expired`}
        </Button>
      )}
      {editing && (
        <KeyDialog
          of={editing === 'new' ? null : editing}
          onClose={() => setEditing(null)}
          onMade={(k) => {
            setEditing(null);
            setMade(k);
          }}
        />
      )}
      {made && <Shown of={made} onClose={() => setMade(null)} />}
      {revoking && (
        <Confirm
          opened
          onClose={() => {
            setRevoking(null);
            revoke.reset();
          }}
          title={`Revoke ${revoking.name}?`}
          action="Revoke"
          danger
          busy={revoke.isPending}
          error={revoke.error}
          onConfirm={() =>
            revoke.mutate(revoking.id, {
              onSuccess: () => {
                toast(`${revoking.name} no longer works`);
                setRevoking(null);
              },
            })
          }
        >
          Every program that uses it is refused from now on. It was last used{' '}
          <Ago at={revoking.lastUsedAt} never="never" />.
        </Confirm>
      )}
    </>
  );
}
