import { Button, Group, Modal, TextInput } from '@mantine/core';
import { useRef, useState } from 'react';
import { ApiError } from '../../api/client';
import { type OperatorAccount, useCreateAccount, useCredit, useOperatorAccounts } from '../../api/operator';
import { type Column, DataTable } from '../../parts/DataTable';
import { ErrorBox } from '../../parts/ErrorBox';
import { formatNumber, formatPercent } from '../../parts/locale';
import { Money } from '../../parts/Money';
import { dollars, formatMoney, parseMoney } from '../../parts/money';
import { PageSkeleton } from '../../parts/Skeletons';
import { Chip } from '../../parts/Status';
import { Ago } from '../../parts/Time';
import { toast } from '../../parts/toast';
import { Markup } from './Markup';

export function Accounts() {
  const accounts = useOperatorAccounts();
  const [creating, setCreating] = useState(false);
  const [crediting, setCrediting] = useState<OperatorAccount | null>(null);
  const [marking, setMarking] = useState<OperatorAccount | null>(null);
  if (!accounts.data)
    return accounts.isError ? (
      <ErrorBox error={accounts.error} retry={() => void accounts.refetch()} />
    ) : (
      <PageSkeleton />
    );
  const rows = accounts.data;
  const credit = (a: OperatorAccount) => (
    <Button size="compact-sm" variant="default" onClick={() => setCrediting(a)} aria-label={`Credit ${a.name}`}>
      Credit
    </Button>
  );
  const markup = (a: OperatorAccount) => {
    const shown = a.markupPercent === null ? 'usual' : formatPercent(a.markupPercent);
    return (
      <Button
        size="compact-sm"
        variant="subtle"
        color="gray"
        onClick={() => setMarking(a)}
        aria-label={`${shown}: markup of ${a.name}`}
      >
        {shown}
      </Button>
    );
  };
  const columns: Column<OperatorAccount>[] = [
    {
      key: 'name',
      head: 'Account',
      cell: (a) => (
        <>
          <span className="cell-main strong">{a.name}</span>
          <span className="cell-sub mono">{a.id}</span>
        </>
      ),
    },
    { key: 'since', head: 'Since', width: '130px', from: 860, cell: (a) => <Ago at={a.createdAt} /> },
    { key: 'running', head: 'Running', width: '92px', end: true, cell: (a) => a.runningDeployments },
    { key: 'cost', head: '$ / h', width: '110px', end: true, from: 720, cell: (a) => <Money usd={a.hourlyCost} /> },
    { key: 'held', head: 'Held', width: '110px', end: true, from: 860, cell: (a) => <Money usd={a.held} /> },
    {
      key: 'available',
      head: 'Available',
      width: '150px',
      end: true,
      cell: (a) => (
        <>
          <Money usd={a.available} />
          {a.negativeSince && (
            <span className="cell-sub">
              <Chip tone="bad">past due</Chip> <Ago at={a.negativeSince} />
            </span>
          )}
        </>
      ),
    },
    { key: 'markup', head: 'Markup', width: '104px', end: true, from: 720, cell: markup },
    { key: 'credit', head: <span className="sr">Credit</span>, width: '104px', end: true, cell: credit },
  ];
  return (
    <>
      <Group justify="space-between" mb="sm">
        <span className="dim">
          {formatNumber(rows.length)} {rows.length === 1 ? 'account' : 'accounts'}
        </span>
        <Button variant="default" onClick={() => setCreating(true)}>
          Create an account
        </Button>
      </Group>
      <DataTable
        label="Accounts"
        columns={columns}
        count={rows.length}
        row={(i) => rows[i]}
        rowKey={(a) => a.id}
        rowHeight={56}
        cardHeight={92}
        card={(a) => (
          <div style={{ display: 'grid', gap: 6 }}>
            <div className="card-row">
              <span className="strong truncate">{a.name}</span>
              <span className="nowrap">
                <Money usd={a.available} most={2} /> available
              </span>
            </div>
            <div className="card-row small dim">
              <span>
                {a.runningDeployments} running, <Money usd={a.hourlyCost} per="/h" />
              </span>
              <span>
                {markup(a)} {credit(a)}
              </span>
            </div>
          </div>
        )}
      />
      {creating && <Create onClose={() => setCreating(false)} />}
      {marking && <Markup of={marking} onClose={() => setMarking(null)} />}
      {crediting && <Credit to={crediting} onClose={() => setCrediting(null)} />}
    </>
  );
}

function Create({ onClose }: { onClose: () => void }) {
  const create = useCreateAccount();
  const [name, setName] = useState('');
  const [credit, setCredit] = useState('');
  const amount = credit.trim() ? parseMoney(credit) : null;
  const wrong = credit.trim() !== '' && amount === null;
  return (
    <Modal opened onClose={onClose} title="Create an account">
      <form
        className="stack"
        onSubmit={(e) => {
          e.preventDefault();
          create.mutate(
            { name: name.trim(), ...(amount !== null && { credit: dollars(amount) }) },
            {
              onSuccess: (a) => {
                toast(`${a.name} created`);
                onClose();
              },
            },
          );
        }}
      >
        <TextInput
          label="Name"
          value={name}
          onChange={(e) => setName(e.currentTarget.value)}
          required
          data-autofocus
          maxLength={64}
        />
        <TextInput
          label="Opening credit"
          description="In US dollars; none where it is empty"
          inputMode="decimal"
          value={credit}
          onChange={(e) => setCredit(e.currentTarget.value)}
          error={wrong ? 'Not an amount, such as 250 or 12.50.' : undefined}
        />
        <div className="small dim">
          People get in with: <code className="mono">billetd user create --account ID --email …</code>
        </div>
        <ErrorBox error={create.error} />
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={create.isPending} disabled={!name.trim() || wrong}>
            Create
          </Button>
        </Group>
      </form>
    </Modal>
  );
}

function Credit({ to: a, onClose }: { to: OperatorAccount; onClose: () => void }) {
  const credit = useCredit(a.id);
  const [text, setText] = useState('');
  const [note, setNote] = useState('');
  const [reference, setReference] = useState('');
  // One dialogue, one credit: pressing again after a lost answer does not pay twice.
  const intent = useRef({ body: '', once: '' });
  const amount = parseMoney(text);
  const error = credit.error instanceof ApiError ? credit.error : null;
  const submit = () => {
    if (amount === null) return;
    const body = {
      amount: dollars(amount),
      ...(note.trim() && { note: note.trim() }),
      ...(reference.trim() && { reference: reference.trim() }),
    };
    const same = JSON.stringify(body);
    if (intent.current.body !== same || (error && !error.outage))
      intent.current = { body: same, once: crypto.randomUUID() };
    credit.mutate(
      { body, once: intent.current.once },
      {
        onSuccess: (done) => {
          toast(
            done.made
              ? `${formatMoney(amount)} credited to ${a.name}`
              : 'This reference was credited before: nothing was changed',
          );
          onClose();
        },
      },
    );
  };
  return (
    <Modal opened onClose={onClose} title={`Credit ${a.name}`}>
      <form
        className="stack"
        onSubmit={(e) => {
          e.preventDefault();
          if (!credit.isPending) submit();
        }}
      >
        <TextInput
          label="Amount"
          description="In US dollars"
          inputMode="decimal"
          value={text}
          onChange={(e) => setText(e.currentTarget.value)}
          error={text.trim() && amount === null ? 'Not an amount, such as 250 or 12.50.' : undefined}
          required
          data-autofocus
        />
        <TextInput
          label="Note"
          description="The tenant reads it on the statement"
          value={note}
          onChange={(e) => setNote(e.currentTarget.value)}
        />
        <TextInput
          label="Reference"
          description="Such as an invoice's number: the same one is credited once only"
          value={reference}
          onChange={(e) => setReference(e.currentTarget.value)}
        />
        <ErrorBox error={credit.error} />
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={credit.isPending} disabled={amount === null || amount === 0}>
            {amount ? `Credit ${formatMoney(amount)}` : 'Credit'}
          </Button>
        </Group>
      </form>
    </Modal>
  );
}
