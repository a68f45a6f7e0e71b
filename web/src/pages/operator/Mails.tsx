import { Button, Select } from '@mantine/core';
import { Link } from 'react-router';
import type { Schema } from '../../api/client';
import { mailsPage, mailsPath, useRetryMail } from '../../api/operator';
import { useSettings } from '../../api/settings';
import { EmptyState } from '../../parts/EmptyState';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import { usePagedRows } from '../../parts/rows';
import { Status } from '../../parts/Status';
import { Ago } from '../../parts/Time';
import { toast } from '../../parts/toast';
import { useFilters } from './filters';

type Mail = Schema['Mail'];

/** What each state means. A missing or unknown one fails the type check. */
const states: Record<Mail['state'], string> = {
  pending: 'Waiting to be sent',
  sent: 'Accepted by the mail server',
  failed: 'Given up',
  suppressed: 'Not sent: this address rejected an earlier message',
};

/** The outbox, and what was sent from it in the last 30 days. */
export function Mails() {
  const filters = useFilters();
  const configured = useSettings().data?.value.mail.configured;
  const chosen = filters.get('state');
  const state = chosen && chosen in states ? (chosen as Mail['state']) : undefined;
  const rows = usePagedRows<Mail>((page, limit) => mailsPage({ state, page, limit }));
  const retry = useRetryMail();
  const again = (m: Mail) =>
    retry.mutate(m.id, {
      onSuccess: (found) =>
        toast(found ? `The email to ${m.recipient} is sent now` : 'This email is not waiting for another attempt.'),
    });
  return (
    <>
      {configured === false && (
        <div className="notice">
          <b>No mail server is set up.</b>
          <span>
            Until then, no email is sent or kept. <Link to="/operator/settings">Set up the mail server</Link>
          </span>
        </div>
      )}
      <search className="filters-row">
        <Select
          aria-label="State"
          placeholder="Any state"
          data={Object.keys(states).map((s) => ({ value: s, label: s[0]?.toUpperCase() + s.slice(1) }))}
          value={state ?? null}
          onChange={(v) => filters.set('state', v ?? '')}
          clearable
          clearButtonProps={{ 'aria-label': 'Clear state' }}
        />
      </search>
      <ResourceTable
        label="Emails"
        columns={columns}
        rows={rows}
        rowKey={(m) => m.id}
        name={(m) => `${kindText(m.kind)} to ${m.recipient}`}
        rowHeight={56}
        cardHeight={132}
        actions={(m) => (m.state === 'pending' && m.attempts > 0 ? [{ text: 'Retry now', run: () => again(m) }] : [])}
        empty={
          state ? (
            <EmptyState
              title={`No ${state} emails`}
              action={
                <Button variant="default" onClick={() => filters.set('state', '')}>
                  Show all emails
                </Button>
              }
            >
              {states[state]}: no email in the last 30 days.
            </EmptyState>
          ) : (
            <EmptyState title="No emails yet" api={{ path: mailsPath }}>
              Emails of the last 30 days appear here with their state and last error. Their text is not kept.
            </EmptyState>
          )
        }
      />
    </>
  );
}

/** "password_reset" as "Password reset". */
function kindText(kind: string): string {
  const text = kind.replaceAll('_', ' ');
  return `${text[0]?.toUpperCase()}${text.slice(1)}`;
}

const columns: Column<Mail>[] = [
  {
    key: 'recipient',
    head: 'Recipient',
    cell: (m) => (
      <>
        <span className="cell-main strong" title={m.recipient}>
          {m.recipient}
        </span>
        <span className="cell-sub">{kindText(m.kind)}</span>
      </>
    ),
  },
  {
    key: 'state',
    head: 'State',
    width: '38%',
    cell: (m) => (
      <>
        <Status value={m.state} />
        {m.lastError ? (
          <span className="cell-sub" title={m.lastError}>
            {m.lastError}
          </span>
        ) : (
          <span className="cell-sub">{states[m.state]}</span>
        )}
      </>
    ),
  },
  { key: 'attempts', head: 'Attempts', width: '100px', end: true, from: 760, cell: (m) => m.attempts },
  { key: 'created', head: 'Created', width: '120px', from: 860, cell: (m) => <Ago at={m.createdAt} /> },
  { key: 'sent', head: 'Sent', width: '120px', cell: (m) => <Ago at={m.sentAt} never="–" /> },
];
