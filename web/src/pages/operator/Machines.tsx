import { Button, Textarea } from '@mantine/core';
import { useState } from 'react';
import type { Schema } from '../../api/client';
import { useAll, useSend, withId } from '../../api/hooks';
import { useConfirm } from '../../parts/confirm';
import { EmptyState } from '../../parts/EmptyState';
import { Money } from '../../parts/Money';
import { micro } from '../../parts/money';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import type { RowAction } from '../../parts/RowMenu';
import { useListRows } from '../../parts/rows';
import { Status } from '../../parts/Status';
import { Ago } from '../../parts/Time';
import { DestroyDriveDialog } from './DestroyDriveDialog';
import { MachineDialog } from './MachineDialog';
import { RackView } from './RackView';

type Machine = Schema['Machine'];
const path = '/api/v1/operator/machines';

/** The operator's own servers: in their racks, and as a list. */
export function Machines() {
  const [adding, setAdding] = useState(false);
  const query = useAll(path, {}, { refetchInterval: 5_000 });
  const [editing, setEditing] = useState<Machine | null>(null);
  const [destroying, setDestroying] = useState<Machine | null>(null);
  const actions = useActions();
  const rows = useListRows(query, {
    sorts: { name: (m) => m.name, state: (m) => m.state },
    text: (m) => `${m.name} ${m.state} ${m.gpuType} ${m.region} ${m.rack} ${m.address} ${m.reason}`,
  });
  return (
    <>
      <div className="filters-row">
        <Button onClick={() => setAdding(true)}>Add machine</Button>
      </div>
      <RackView machines={query.data ?? []} />
      <ResourceTable
        label="Machines"
        columns={columns}
        rows={rows}
        rowKey={(m) => m.id}
        name={(m) => m.name}
        quiet={(m) => m.state === 'retired'}
        actions={(m) => [{ text: 'Edit', run: () => setEditing(m) }, ...actions(m, setDestroying)]}
        empty={
          <EmptyState title="No machines" action={<Button onClick={() => setAdding(true)}>Add machine</Button>}>
            Rent out your own servers: Billet installs and erases them through their BMCs. Many at once are added with
            billetd machines import.
          </EmptyState>
        }
      />
      {adding && <MachineDialog onClose={() => setAdding(false)} />}
      {editing && <MachineDialog of={editing} onClose={() => setEditing(null)} />}
      {destroying && <DestroyDriveDialog of={destroying} onClose={() => setDestroying(null)} />}
    </>
  );
}

const texts = {
  inspect: ['Inspect', 'The server is started, its hardware is read, and it is compared with what is for sale.'],
  validate: ['Validate', 'It is compared with what is for sale again, without being started.'],
  release: ['Release', 'It is erased if it may have a tenant’s data, or else inspected, before it is for sale.'],
  drain: ['Drain', 'It is no longer sold. A tenant keeps it; then it is erased and retired.'],
  quarantine: ['Quarantine', 'It is not sold until it is released.'],
} as const;
type Action = keyof typeof texts;

const possible: Record<Machine['state'], Action[]> = {
  enrolled: ['inspect', 'quarantine', 'drain'],
  inspecting: ['quarantine'],
  validating: ['quarantine'],
  ready: ['inspect', 'validate', 'quarantine', 'drain'],
  assigned: ['drain'],
  draining: ['release'],
  erasing: ['quarantine'],
  quarantined: ['release', 'drain'],
  retired: ['release'],
};

/** Returns what can be done with a machine in its state. */
function useActions(): (m: Machine, destroy: (m: Machine) => void) => RowAction[] {
  const confirm = useConfirm();
  const send: Record<Action, ReturnType<typeof useSend<'post', `${typeof path}/{id}/inspect`>>> = {
    inspect: useSend('post', `${path}/{id}/inspect`),
    validate: useSend('post', `${path}/{id}/validate`),
    release: useSend('post', `${path}/{id}/release`),
    drain: useSend('post', `${path}/{id}/drain`),
    quarantine: useSend('post', `${path}/{id}/quarantine`),
  };
  const remove = useSend('delete', `${path}/{id}`);
  return (m, destroy) => {
    const all: RowAction[] = possible[m.state].map((a) => ({
      text: texts[a][0],
      danger: a === 'drain' || a === 'quarantine',
      run: () =>
        confirm({
          title: `${texts[a][0]} ${m.name}?`,
          body: (
            <>
              {texts[a][1]}
              <Textarea name="reason" label="Reason" mt="sm" data-autofocus />
            </>
          ),
          action: texts[a][0],
          danger: a === 'drain' || a === 'quarantine',
          run: (form) => {
            const reason = String(form.get('reason')).trim();
            return send[a].mutateAsync({ ...withId(m.id), body: reason ? { reason } : {} });
          },
        }),
    }));
    if (m.unerased && m.hardware && ['quarantined', 'retired'].includes(m.state)) {
      all.push({ text: 'Declare drive destroyed', danger: true, run: () => destroy(m) });
    }
    // The server refuses what may have a tenant's data, and says what to do.
    if (['enrolled', 'quarantined', 'retired'].includes(m.state)) {
      all.push({
        text: 'Remove machine',
        danger: true,
        run: () =>
          confirm({
            title: `Remove ${m.name}?`,
            body: 'Its history is deleted. The records of erasures stay.',
            action: 'Remove machine',
            danger: true,
            run: () => remove.mutateAsync(withId(m.id)),
          }),
      });
    }
    return all;
  };
}

const columns: Column<Machine>[] = [
  {
    key: 'name',
    head: 'Machine',
    sort: 'name',
    cell: (m) => (
      <>
        <span className="cell-main strong">{m.name}</span>
        <span className="cell-sub">{m.reason || m.detail || m.address}</span>
      </>
    ),
  },
  { key: 'state', head: 'State', sort: 'state', width: '130px', cell: (m) => <Status value={m.state} /> },
  { key: 'since', head: 'Since', width: '130px', from: 1150, cell: (m) => <Ago at={m.stateAt} /> },
  { key: 'gpus', head: 'GPUs', width: '170px', cell: (m) => `${m.gpuCount}× ${m.gpuType}` },
  { key: 'region', head: 'Region', width: '120px', from: 1000, cell: (m) => m.region },
  {
    key: 'rack',
    head: 'Rack',
    width: '110px',
    from: 1000,
    cell: (m) => [m.rack, m.position > 0 && `U${m.position}`].filter(Boolean).join(' ') || '–',
  },
  {
    key: 'price',
    head: 'Price',
    width: '120px',
    cell: (m) => <Money amount={micro(m.hourlyPrice)} per="/hr" />,
  },
];
