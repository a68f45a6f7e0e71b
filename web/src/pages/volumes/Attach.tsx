import { Button, Group, Modal, Select } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';
import { deploymentsPage } from '../../api/deployments';
import { useAttach, type Volume } from '../../api/volumes';
import { ErrorBox } from '../../parts/ErrorBox';

/** Chooses one of the machines that the volume can go to: running, of its provider and region. */
export function Attach({ of: v, onClose }: { of: Volume; onClose: () => void }) {
  const near = useQuery(
    deploymentsPage({ status: ['running'], provider: v.provider, region: v.region, limit: 100 }, true),
  );
  const attach = useAttach();
  const [pick, setPick] = useState<string | null>(null);
  const machines = near.data?.rows.filter((d) => d.capabilities.volumes) ?? [];
  return (
    <Modal opened onClose={onClose} title={`Attach ${v.name}`}>
      <form
        className="stack"
        onSubmit={(e) => {
          e.preventDefault();
          if (pick) attach.mutate({ id: v.id, deploymentId: pick }, { onSuccess: onClose });
        }}
      >
        {near.data && machines.length === 0 ? (
          <p style={{ margin: 0 }}>
            No machine of yours runs there.{' '}
            <Link to={`/offers?provider=${v.provider}&region=${v.region}`} className="link">
              Offers in this region
            </Link>
          </p>
        ) : (
          <Select
            label="Machine"
            placeholder="Choose"
            data={machines.map((d) => ({ value: d.id, label: `${d.name}, ${d.gpuCount} × ${d.gpuType}` }))}
            value={pick}
            onChange={setPick}
            data-autofocus
          />
        )}
        <ErrorBox error={near.error ?? attach.error} />
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={attach.isPending} disabled={!pick}>
            Attach
          </Button>
        </Group>
      </form>
    </Modal>
  );
}
