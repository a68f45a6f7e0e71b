import { Button } from '@mantine/core';
import type { Schema } from '../../api/client';
import { useSend, withId } from '../../api/hooks';
import { useImages } from '../../api/images';
import { useCan } from '../../api/session';
import { CopyButton } from '../../parts/Copy';
import { useConfirm } from '../../parts/confirm';
import { EmptyState } from '../../parts/EmptyState';
import { PageHead } from '../../parts/PageHead';
import { type Column, ResourceTable } from '../../parts/ResourceTable';
import { useListRows } from '../../parts/rows';
import { Ago } from '../../parts/Time';
import { toast } from '../../parts/toast';
import { useNew } from '../../parts/useNew';
import { AddImageDialog } from './AddImageDialog';
import { fileSize } from './words';

type Image = Schema['Image'];

/** The account's own disk images. */
export default function Images() {
  const images = useImages(true);
  const write = useCan()('deployments:write');
  const confirm = useConfirm();
  const [adding, { open, close }] = useNew();
  const remove = useSend('delete', '/api/v1/inventory/images/{id}');
  const rows = useListRows(images, {
    sorts: { name: (i) => i.name, sizeBytes: (i) => i.sizeBytes, createdAt: (i) => i.createdAt },
    text: (i) => `${i.name} ${i.url} ${i.id} ${i.sha256}`,
  });
  const add = write && <Button onClick={open}>Add image</Button>;
  return (
    <>
      <PageHead title="Images" actions={(images.data?.length ?? 0) > 0 && add}>
        Disk images of your own, for offers with the feature “own images”.
      </PageHead>
      <ResourceTable
        label="Images"
        columns={columns}
        rows={rows}
        rowKey={(i) => i.id}
        name={(i) => i.name}
        empty={
          <EmptyState
            title="No images yet"
            action={add}
            api={{
              method: 'POST',
              path: '/api/v1/inventory/images',
              body: {
                name: 'rocky-cuda',
                url: 'https://images.example.com/rocky-cuda.qcow2',
                sha256: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
                format: 'qcow2',
                sizeBytes: 618925568,
              },
            }}
          >
            Add a disk image by its URL, and install machines with it instead of an operating system of the offer. It
            must start by UEFI and have cloud-init, as distributions publish them for clouds.
          </EmptyState>
        }
        actions={
          write
            ? (i) => [
                {
                  text: 'Delete',
                  danger: true,
                  run: () =>
                    confirm({
                      title: `Delete ${i.name}?`,
                      body: 'Machines that have it keep it. The file at its URL is not touched.',
                      action: 'Delete image',
                      danger: true,
                      run: async () => {
                        await remove.mutateAsync(withId(i.id));
                        toast(`${i.name} deleted`);
                      },
                    }),
                },
              ]
            : undefined
        }
      />
      {adding && write && (
        <AddImageDialog
          onDone={(i) => {
            close();
            toast(`${i.name} added`);
          }}
          onClose={close}
        />
      )}
    </>
  );
}

const columns: Column<Image>[] = [
  {
    key: 'name',
    head: 'Name',
    sort: 'name',
    cell: (i) => (
      <>
        <span className="cell-main strong">{i.name}</span>
        <span className="cell-sub truncate" title={i.url}>
          {i.url}
        </span>
      </>
    ),
  },
  { key: 'format', head: 'Format', width: '90px', cell: (i) => i.format },
  { key: 'size', head: 'Size', sort: 'sizeBytes', width: '100px', cell: (i) => fileSize(i.sizeBytes) },
  {
    key: 'sha256',
    head: 'SHA-256',
    width: '190px',
    from: 1000,
    cell: (i) => (
      <span className="fingerprint">
        <span className="mono truncate">{i.sha256}</span>
        <CopyButton value={i.sha256} label={`SHA-256 of ${i.name}`} />
      </span>
    ),
  },
  { key: 'added', head: 'Added', sort: 'createdAt', width: '140px', cell: (i) => <Ago at={i.createdAt} /> },
];
