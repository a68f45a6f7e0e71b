import { ActionIcon, Button, Menu, Select } from '@mantine/core';
import { useState } from 'react';
import {
  type Member,
  useChangeRole,
  useInvitations,
  usePeople,
  useRemoveUser,
  useRevokeInvitation,
} from '../../api/members';
import { type Role, useCan, useMe } from '../../api/session';
import { MoreIcon } from '../../app/icons';
import { Confirm } from '../../parts/Confirm';
import { ErrorBox } from '../../parts/ErrorBox';
import { PageHead } from '../../parts/PageHead';
import { PageSkeleton } from '../../parts/Skeletons';
import { Chip } from '../../parts/Status';
import { Ago } from '../../parts/Time';
import '../../parts/table.css';
import { toast } from '../../parts/toast';
import { InviteDialog } from './Invite';
import { roles } from './roles';

export default function People() {
  const me = useMe().data;
  const can = useCan();
  const write = can('people:write');
  const people = usePeople();
  const invitations = useInvitations(write);
  const change = useChangeRole();
  const remove = useRemoveUser();
  const revoke = useRevokeInvitation();
  const [inviting, setInviting] = useState(false);
  const [removing, setRemoving] = useState<Member | null>(null);
  const open = (invitations.data ?? []).filter((i) => i.status === 'open');
  // Only an owner makes or unmakes owners.
  const mayChange = (m: Member) => write && (m.role !== 'owner' || me?.role === 'owner');
  const choices = roles.filter((r) => r.value !== 'owner' || me?.role === 'owner');
  const leaving = removing?.id === me?.user.id;

  return (
    <>
      <PageHead title="People" actions={write && <Button onClick={() => setInviting(true)}>Invite somebody</Button>}>
        Who may work in {me?.account.name}, and as what.
      </PageHead>
      {!people.data ? (
        people.isError ? (
          <ErrorBox error={people.error} retry={() => void people.refetch()} />
        ) : (
          <PageSkeleton />
        )
      ) : (
        <section className="panel table-wrap" aria-label="People">
          <table className="plain-table">
            <thead>
              <tr>
                <th scope="col">User</th>
                <th scope="col">Role</th>
                <th scope="col" className="wide">
                  Last seen
                </th>
                <th scope="col" className="wide">
                  Second factor
                </th>
                <th scope="col">
                  <span className="sr">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {people.data.map((m) => (
                <tr key={m.id}>
                  <td className="user">
                    <span className="strong">{m.name || m.email}</span>
                    {m.id === me?.user.id && <span className="dim"> (you)</span>}
                    <span className="cell-sub">{m.email}</span>
                  </td>
                  <td>
                    {mayChange(m) ? (
                      <Select
                        aria-label={`Role of ${m.email}`}
                        size="xs"
                        data={choices.map((r) => ({ value: r.value, label: r.value }))}
                        value={m.role}
                        allowDeselect={false}
                        disabled={change.isPending}
                        onChange={(role) =>
                          role &&
                          role !== m.role &&
                          change.mutate(
                            { id: m.id, role: role as Role },
                            { onSuccess: () => toast(`${m.email} is ${role} now`) },
                          )
                        }
                        className="role"
                      />
                    ) : (
                      m.role
                    )}
                  </td>
                  <td className="wide">
                    <Ago at={m.lastSeenAt} never="never" />
                  </td>
                  <td className="wide">{m.totp ? <Chip tone="good">on</Chip> : <span className="dim">off</span>}</td>
                  <td data-end>
                    {(mayChange(m) || m.id === me?.user.id) && write && (
                      <Menu position="bottom-end">
                        <Menu.Target>
                          <ActionIcon variant="subtle" color="gray" aria-label={`Actions for ${m.email}`}>
                            <MoreIcon />
                          </ActionIcon>
                        </Menu.Target>
                        <Menu.Dropdown>
                          <Menu.Item className="danger-button" onClick={() => setRemoving(m)}>
                            {m.id === me?.user.id ? 'Leave this account' : 'Remove from this account'}
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
      <ErrorBox error={change.error} />
      {write && open.length > 0 && (
        <section className="panel table-wrap" style={{ marginTop: 20 }} aria-labelledby="open-invitations">
          <div className="panel-head">
            <h2 id="open-invitations">Open invitations</h2>
          </div>
          <table className="plain-table">
            <tbody>
              {open.map((i) => (
                <tr key={i.id}>
                  <td>
                    {i.email || 'Whoever has the link'}
                    <span className="cell-sub">
                      by {i.invitedBy.email}, expires <Ago at={i.expiresAt} />
                    </span>
                  </td>
                  <td>{i.role}</td>
                  <td data-end>
                    <Button
                      size="compact-sm"
                      variant="subtle"
                      color="gray"
                      loading={revoke.isPending && revoke.variables === i.id}
                      onClick={() => revoke.mutate(i.id)}
                    >
                      Take back
                    </Button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
          <ErrorBox error={revoke.error} />
        </section>
      )}
      {inviting && <InviteDialog roles={choices} onClose={() => setInviting(false)} />}
      {removing && (
        <Confirm
          opened
          onClose={() => {
            setRemoving(null);
            remove.reset();
          }}
          title={leaving ? `Leave ${me?.account.name}?` : `Remove ${removing.email}?`}
          action={leaving ? 'Leave' : 'Remove'}
          danger
          busy={remove.isPending}
          error={remove.error}
          onConfirm={() => remove.mutate(removing.id, { onSuccess: () => setRemoving(null) })}
        >
          Their sessions here end, and the API keys that they made here are revoked. What they deployed goes on.
        </Confirm>
      )}
    </>
  );
}
