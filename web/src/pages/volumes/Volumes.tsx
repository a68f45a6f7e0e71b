import { ActionIcon, Button, Group, Menu } from '@mantine/core';
import { useState } from 'react';
import { Link, useSearchParams } from 'react-router';
import { useRegionName } from '../../api/offers';
import { useCan } from '../../api/session';
import { useDeleteVolume, useDetach, useVolumes, type Volume } from '../../api/volumes';
import { MoreIcon } from '../../app/icons';
import { Confirm } from '../../parts/Confirm';
import { type Column, DataTable } from '../../parts/DataTable';
import { EmptyState } from '../../parts/EmptyState';
import { ErrorBox } from '../../parts/ErrorBox';
import { Money } from '../../parts/Money';
import { PageHead } from '../../parts/PageHead';
import { ProviderNotice } from '../../parts/ProviderNotice';
import { PageSkeleton } from '../../parts/Skeletons';
import { Status } from '../../parts/Status';
import { size } from '../offers/cells';
import { Attach } from './Attach';
import { Grow, Rename } from './Change';
import { CreateVolume } from './Create';

type Doing = { volume: Volume; what: 'attach' | 'detach' | 'grow' | 'rename' | 'delete' };

export default function Volumes() {
  const volumes = useVolumes();
  const can = useCan();
  const [params, setParams] = useSearchParams();
  const [doing, setDoing] = useState<Doing | null>(null);
  const creating = params.get('new');
  const write = can('volumes:write');
  const rows = (volumes.data ?? []).filter((v) => v.status !== 'deleted');
  const region = useRegionName();
  const close = () => setDoing(null);
  const create = (
    <Button onClick={() => setParams({ new: '1' }, { replace: true })} disabled={!write}>
      Create a volume
    </Button>
  );
  const menu = (v: Volume) => <Actions of={v} onChoose={(what) => setDoing({ volume: v, what })} />;

  return (
    <>
      <PageHead title="Volumes" actions={write && rows.length > 0 && create}>
        Storage that outlives the machines it is attached to. Billed by the GB and hour, attached or not.
      </PageHead>
      <ProviderNotice
        of={[...new Set(rows.map((v) => v.provider))]}
        meaning="Volumes there keep their data. Their status may be out of date, and changes to them wait until the provider answers."
      />
      {!volumes.data ? (
        volumes.isError ? (
          <ErrorBox error={volumes.error} retry={() => void volumes.refetch()} />
        ) : (
          <PageSkeleton />
        )
      ) : rows.length === 0 ? (
        <EmptyState
          title="Keep data between machines"
          action={write && create}
          api={{
            method: 'POST',
            path: '/api/v1/inventory/volumes',
            body: { name: 'datasets', sizeGb: 500, provider: 'voltage-park', region: 'dallas-usa-5' },
          }}
        >
          A machine’s own storage ends with it. A volume stays, and can be attached to the next machine in the same
          region.
        </EmptyState>
      ) : (
        <DataTable
          label="Volumes"
          columns={columns(region, write ? menu : undefined)}
          count={rows.length}
          row={(i) => rows[i]}
          rowKey={(v) => v.id}
          rowHeight={56}
          cardHeight={108}
          card={(v) => (
            <div style={{ display: 'grid', gap: 5 }}>
              <div className="card-row">
                <span className="strong truncate">{v.name}</span>
                <Status value={v.status} live />
              </div>
              <div className="small dim truncate">
                {size(v.sizeGb)} · {region(v.region)} · <On of={v} />
              </div>
              <div className="card-row small">
                <Money usd={v.hourlyPrice} per="/h" />
                {write && menu(v)}
              </div>
            </div>
          )}
          quiet={(v) => v.status === 'failed'}
        />
      )}
      {creating && <CreateVolume at={creating} onClose={() => setParams({}, { replace: true })} />}
      {doing?.what === 'attach' && <Attach of={doing.volume} onClose={close} />}
      {doing?.what === 'grow' && <Grow of={doing.volume} onClose={close} />}
      {doing?.what === 'rename' && <Rename of={doing.volume} onClose={close} />}
      {doing?.what === 'detach' && <Detach of={doing.volume} onClose={close} />}
      {doing?.what === 'delete' && <Delete of={doing.volume} onClose={close} />}
    </>
  );
}

function On({ of: v }: { of: Volume }) {
  if (!v.attachedTo) return <span className="dim">not attached</span>;
  return (
    <Link to={`/deployments/${v.attachedTo}`} className="link">
      {v.mountPath ?? 'its machine'}
    </Link>
  );
}

function columns(region: (slug: string) => string, menu?: (v: Volume) => React.ReactNode): Column<Volume>[] {
  const all: Column<Volume>[] = [
    {
      key: 'name',
      head: 'Name',
      cell: (v) => (
        <>
          <span className="cell-main strong">{v.name}</span>
          <span className="cell-sub mono">{v.id}</span>
        </>
      ),
    },
    {
      key: 'size',
      head: 'Size',
      width: '120px',
      cell: (v) => (
        <>
          <span className="cell-main">{size(v.sizeGb)}</span>
          {v.growingToGb !== null && <span className="cell-sub">growing to {size(v.growingToGb)}</span>}
        </>
      ),
    },
    {
      key: 'status',
      head: 'Status',
      width: '132px',
      cell: (v) => (
        <span title={v.statusReason ?? undefined}>
          <Status value={v.status} live />
        </span>
      ),
    },
    {
      key: 'where',
      head: 'Region',
      from: 700,
      cell: (v) => (
        <>
          <span className="cell-main">{region(v.region)}</span>
          <span className="cell-sub">{v.provider}</span>
        </>
      ),
    },
    { key: 'on', head: 'Attached at', cell: (v) => <On of={v} /> },
    { key: 'price', head: '$ / h', width: '116px', end: true, cell: (v) => <Money usd={v.hourlyPrice} /> },
    { key: 'cost', head: 'Charged', width: '110px', end: true, from: 820, cell: (v) => <Money usd={v.costToDate} /> },
  ];
  if (menu) all.push({ key: 'menu', head: <span className="sr">Actions</span>, width: '60px', end: true, cell: menu });
  return all;
}

function Actions({ of: v, onChoose }: { of: Volume; onChoose: (what: Doing['what']) => void }) {
  if (v.status === 'failed' || v.status === 'deleting') return null;
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" aria-label={`Actions for ${v.name}`}>
          <MoreIcon />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {v.status === 'available' && <Menu.Item onClick={() => onChoose('attach')}>Attach</Menu.Item>}
        {v.status === 'attached' && <Menu.Item onClick={() => onChoose('detach')}>Detach</Menu.Item>}
        <Menu.Item onClick={() => onChoose('grow')}>Grow</Menu.Item>
        <Menu.Item onClick={() => onChoose('rename')}>Rename</Menu.Item>
        <Menu.Item className="danger-button" disabled={v.status !== 'available'} onClick={() => onChoose('delete')}>
          Delete{v.status === 'attached' ? ' (detach it first)' : ''}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

function Detach({ of: v, onClose }: { of: Volume; onClose: () => void }) {
  const detach = useDetach();
  return (
    <Confirm
      opened
      onClose={onClose}
      title={`Detach ${v.name}?`}
      action="Detach"
      busy={detach.isPending}
      error={detach.error}
      onConfirm={() => detach.mutate(v.id, { onSuccess: onClose })}
    >
      What the machine has not written to it yet may be lost: stop what uses{' '}
      {v.mountPath ? <code className="mono">{v.mountPath}</code> : 'it'} first.
    </Confirm>
  );
}

function Delete({ of: v, onClose }: { of: Volume; onClose: () => void }) {
  const remove = useDeleteVolume();
  return (
    <Confirm
      opened
      onClose={onClose}
      title={`Delete ${v.name}?`}
      action="Delete for good"
      danger
      typed={v.name}
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate(v.id, { onSuccess: onClose })}
    >
      <Group gap={4}>All of its {size(v.sizeGb)} are erased, and nobody can bring them back.</Group>
    </Confirm>
  );
}
