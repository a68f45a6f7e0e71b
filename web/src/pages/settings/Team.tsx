import { Button, Select } from '@mantine/core';
import type { Schema } from '../../api/client';
import { useAll, useSend, withId } from '../../api/hooks';
import { type Role, useCan, useMe } from '../../api/session';
import { useConfirm } from '../../parts/confirm';
import { ErrorBox } from '../../parts/ErrorBox';
import { formatNumber } from '../../parts/locale';
import { PageHead } from '../../parts/PageHead';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import { useListRows } from '../../parts/rows';
import { Chip } from '../../parts/Status';
import { Ago } from '../../parts/Time';
import { toast } from '../../parts/toast';
import { useNew } from '../../parts/useNew';
import { InviteDialog } from './InviteDialog';
import { roles } from './roles';

type Member = Schema['Member'];
type Invitation = Schema['Invitation'];

export default function Team() {
  const me = useMe().data;
  const write = useCan()('members:write');
  const members = useAll('/api/v1/account/members');
  const remove = useSend('delete', '/api/v1/account/members/{id}');
  const confirm = useConfirm();
  const [inviting, invitation] = useNew();
  const rows = useListRows(members, {
    sorts: { name: (m) => m.name || m.email, role: (m) => m.role, lastSeenAt: (m) => m.lastSeenAt },
    text: (m) => `${m.name} ${m.email} ${m.id}`,
  });
  // Only an owner can change owners.
  const canChange = (m: Member) => write && (m.role !== 'owner' || me?.role === 'owner');
  const choices = roles.filter((r) => r.value !== 'owner' || me?.role === 'owner');
  const isMe = (m: Member) => m.id === me?.user.id;

  const askToRemove = (m: Member) =>
    confirm({
      title: isMe(m) ? `Leave ${me?.account.name}?` : `Remove ${m.email}?`,
      body: isMe(m)
        ? 'You will be signed out of this account and your API keys revoked. Your deployments keep running.'
        : 'They will be signed out and their API keys revoked. Their deployments keep running.',
      action: isMe(m) ? 'Leave' : 'Remove',
      danger: true,
      run: () => remove.mutateAsync(withId(m.id)),
    });
  const columns: Column<Member>[] = [
    {
      key: 'name',
      head: 'Member',
      sort: 'name',
      cell: (m) => (
        <span className="member">
          <span className="strong">{m.name || m.email}</span>
          {isMe(m) && <span className="dim"> (you)</span>}
          <span className="cell-sub">{m.email}</span>
        </span>
      ),
    },
    {
      key: 'role',
      head: 'Role',
      sort: 'role',
      width: '150px',
      cell: (m) => (canChange(m) ? <RoleSelect of={m} choices={choices} /> : m.role),
    },
    {
      key: 'seen',
      head: 'Last active',
      sort: 'lastSeenAt',
      width: '150px',
      cell: (m) => <Ago at={m.lastSeenAt} never="Never" />,
    },
    {
      key: 'totp',
      head: 'Authenticator app',
      width: '150px',
      cell: (m) => (m.totp ? <Chip tone="good">on</Chip> : <span className="dim">off</span>),
    },
    {
      key: 'passkeys',
      head: 'Passkeys',
      sort: 'passkeys',
      width: '104px',
      end: true,
      cell: (m) => formatNumber(m.passkeys),
    },
  ];

  return (
    <>
      <PageHead title="Team" actions={write && <Button onClick={invitation.open}>Invite member</Button>}>
        Manage members and roles in {me?.account.name}.
      </PageHead>
      <ResourceTable
        label="Members"
        columns={columns}
        rows={rows}
        rowKey={(m) => m.id}
        name={(m) => m.email}
        empty={null}
        actions={
          write
            ? (m) =>
                canChange(m) || isMe(m)
                  ? [{ text: isMe(m) ? 'Leave account' : 'Remove member', run: () => askToRemove(m), danger: true }]
                  : []
            : undefined
        }
      />
      {write && <Invitations />}
      {inviting && write && <InviteDialog roles={choices} onClose={invitation.close} />}
    </>
  );
}

function RoleSelect({ of: m, choices }: { of: Member; choices: typeof roles }) {
  const change = useSend('patch', '/api/v1/account/members/{id}');
  return (
    <>
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
            { ...withId(m.id), body: { role: role as Role } },
            { onSuccess: () => toast(`Role of ${m.email} changed to ${role}`) },
          )
        }
        className="role"
      />
      <ErrorBox error={change.error} />
    </>
  );
}

/** The invitations that are not accepted yet. */
function Invitations() {
  const invitations = useAll('/api/v1/account/invitations');
  const revoke = useSend('delete', '/api/v1/account/invitations/{id}');
  const rows = useListRows({ ...invitations, data: invitations.data?.filter((i) => i.status === 'open') });
  if (rows.count === 0) return null;
  const columns: Column<Invitation>[] = [
    {
      key: 'email',
      head: 'Invitation',
      cell: (i) => (
        <>
          {i.email || 'Anyone with the link'}
          <span className="cell-sub">by {i.invitedBy.email || i.createdBy.name}</span>
        </>
      ),
    },
    { key: 'role', head: 'Role', width: '150px', cell: (i) => i.role },
    { key: 'expires', head: 'Expires', width: '150px', cell: (i) => <Ago at={i.expiresAt} /> },
  ];
  return (
    <section aria-labelledby="invitations">
      <h2 id="invitations" className="section-head">
        Open invitations
      </h2>
      <ResourceTable
        label="Open invitations"
        columns={columns}
        rows={rows}
        rowKey={(i) => i.id}
        name={(i) => i.email || 'the invitation'}
        empty={null}
        actions={(i) => [{ text: 'Revoke', run: () => revoke.mutate(withId(i.id)), danger: true }]}
      />
      <ErrorBox error={revoke.error} />
    </section>
  );
}
