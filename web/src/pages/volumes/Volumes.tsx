import { Button } from '@mantine/core';
import { useState } from 'react';
import { Link, useSearchParams } from 'react-router';
import { useSend, withId } from '../../api/hooks';
import { useRegionName } from '../../api/offers';
import { useCan } from '../../api/session';
import { useVolumes, type Volume, volumePath } from '../../api/volumes';
import { useConfirm } from '../../parts/confirm';
import { EmptyState } from '../../parts/EmptyState';
import { Money } from '../../parts/Money';
import { PageHead } from '../../parts/PageHead';
import { ProviderNotice } from '../../parts/ProviderNotice';
import { RenameDialog } from '../../parts/RenameDialog';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import type { RowAction } from '../../parts/RowMenu';
import { useListRows } from '../../parts/rows';
import { Status } from '../../parts/Status';
import { size } from '../offers/cells';
import { AttachDialog } from './AttachDialog';
import { CreateVolumeDialog } from './CreateVolumeDialog';
import { ResizeDialog } from './ResizeDialog';

type Open = { dialog: 'attach' | 'resize' | 'rename'; volume: Volume };

export default function Volumes() {
  const volumes = useVolumes();
  const write = useCan()('volumes:write');
  const [params, setParams] = useSearchParams();
  const [open, setOpen] = useState<Open | null>(null);
  const confirm = useConfirm();
  const detach = useSend('post', `${volumePath}/detach`);
  const remove = useSend('delete', volumePath);
  const region = useRegionName();
  const visible = volumes.data?.filter((v) => v.status !== 'deleted');
  const rows = useListRows(
    { ...volumes, data: visible },
    {
      sorts: {
        name: (v) => v.name,
        size: (v) => v.sizeGb,
        status: (v) => v.status,
        region: (v) => region(v.region),
        price: (v) => v.hourlyPrice,
        cost: (v) => v.costToDate,
      },
      text: (v) => `${v.name} ${v.id} ${region(v.region)} ${v.provider}`,
    },
  );
  const creating = params.get('new');
  const close = () => setOpen(null);
  const create = write && <Button onClick={() => setParams({ new: '1' }, { replace: true })}>Create volume</Button>;

  const actions = (v: Volume): RowAction[] => {
    if (v.status === 'failed' || v.status === 'deleting') return [];
    const list: RowAction[] = [
      { text: 'Resize', run: () => setOpen({ dialog: 'resize', volume: v }) },
      { text: 'Rename', run: () => setOpen({ dialog: 'rename', volume: v }) },
      {
        text: v.status === 'attached' ? 'Delete (detach first)' : 'Delete',
        danger: true,
        disabled: v.status !== 'available',
        run: () =>
          confirm({
            title: `Delete ${v.name}?`,
            body: `This permanently erases ${size(v.sizeGb)} and can't be undone.`,
            action: 'Delete volume',
            danger: true,
            typed: v.name,
            run: () => remove.mutateAsync(withId(v.id)),
          }),
      },
    ];
    if (v.status === 'available') list.unshift({ text: 'Attach', run: () => setOpen({ dialog: 'attach', volume: v }) });
    if (v.status === 'attached')
      list.unshift({
        text: 'Detach',
        run: () =>
          confirm({
            title: `Detach ${v.name}?`,
            body: (
              <>
                Unflushed data may be lost. Unmount{' '}
                {v.mountPath ? <code className="mono">{v.mountPath}</code> : 'the volume'} first.
              </>
            ),
            action: 'Detach',
            run: () => detach.mutateAsync({ ...withId(v.id), body: {} }),
          }),
      });
    return list;
  };

  return (
    <>
      <PageHead title="Volumes" actions={(visible?.length ?? 0) > 0 && create}>
        Persistent block storage. Billed per GB-hour, attached or not.
      </PageHead>
      <ProviderNotice
        of={[...new Set(rows.loaded.map((v) => v.provider))]}
        meaning="Volumes there keep their data. Their status may be outdated. Changes wait for the provider."
      />
      <ResourceTable
        label="Volumes"
        columns={columns(region)}
        rows={rows}
        rowKey={(v) => v.id}
        name={(v) => v.name}
        actions={write ? actions : undefined}
        empty={
          <EmptyState
            title="No volumes yet"
            action={create}
            api={{
              method: 'POST',
              path: '/api/v1/inventory/volumes',
              body: { name: 'datasets', sizeGb: 500, provider: 'voltage-park', region: 'dallas-usa-5' },
            }}
          >
            A machine’s local storage is deleted with the machine. A volume is kept and can be attached to another
            machine in the same region.
          </EmptyState>
        }
        rowHeight={56}
        cardHeight={108}
        card={(v, menu) => (
          <div style={{ display: 'grid', gap: 5 }}>
            <div className="card-row">
              <span className="strong truncate">{v.name}</span>
              <Status value={v.status} live />
            </div>
            <div className="small dim truncate">
              {size(v.sizeGb)} · {region(v.region)} · <MountPath of={v} />
            </div>
            <div className="card-row small">
              <Money usd={v.hourlyPrice} per="/hr" />
              {menu}
            </div>
          </div>
        )}
        quiet={(v) => v.status === 'failed'}
      />
      {creating && <CreateVolumeDialog at={creating} onClose={() => setParams({}, { replace: true })} />}
      {open?.dialog === 'attach' && <AttachDialog of={open.volume} onClose={close} />}
      {open?.dialog === 'resize' && <ResizeDialog of={open.volume} onClose={close} />}
      {open?.dialog === 'rename' && <Rename of={open.volume} onClose={close} />}
    </>
  );
}

function Rename({ of: v, onClose }: { of: Volume; onClose: () => void }) {
  const update = useSend('patch', volumePath);
  return (
    <RenameDialog
      name={v.name}
      busy={update.isPending}
      error={update.error}
      onRename={(name) => update.mutate({ ...withId(v.id), body: { name } }, { onSuccess: onClose })}
      onClose={onClose}
    />
  );
}

function MountPath({ of: v }: { of: Volume }) {
  if (!v.attachedTo) return <span className="dim">Not attached</span>;
  return (
    <Link to={`/deployments/${v.attachedTo}`} className="link">
      {v.mountPath ?? 'View deployment'}
    </Link>
  );
}

function columns(region: (slug: string) => string): Column<Volume>[] {
  return [
    {
      key: 'name',
      head: 'Name',
      sort: 'name',
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
      sort: 'size',
      width: '120px',
      cell: (v) => (
        <>
          <span className="cell-main">{size(v.sizeGb)}</span>
          {v.growingToGb !== null && <span className="cell-sub">resizing to {size(v.growingToGb)}</span>}
        </>
      ),
    },
    {
      key: 'status',
      head: 'Status',
      sort: 'status',
      width: '132px',
      cell: (v) => (
        <span title={v.statusReason ?? undefined}>
          <Status value={v.status} live />
        </span>
      ),
    },
    {
      key: 'region',
      head: 'Region',
      sort: 'region',
      from: 700,
      cell: (v) => (
        <>
          <span className="cell-main">{region(v.region)}</span>
          <span className="cell-sub">{v.provider}</span>
        </>
      ),
    },
    { key: 'mount', head: 'Mount path', cell: (v) => <MountPath of={v} /> },
    {
      key: 'price',
      head: 'Price/hr',
      sort: 'price',
      width: '120px',
      end: true,
      cell: (v) => <Money usd={v.hourlyPrice} rate />,
    },
    {
      key: 'cost',
      head: 'Total cost',
      sort: 'cost',
      width: '116px',
      end: true,
      from: 820,
      cell: (v) => <Money usd={v.costToDate} />,
    },
  ];
}
