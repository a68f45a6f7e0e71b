import { Select } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';
import { deploymentsPage } from '../../api/deployments';
import { useSend, withId } from '../../api/hooks';
import { type Volume, volumePath } from '../../api/volumes';
import { FormDialog } from '../../parts/FormDialog';

/** Chooses a running deployment of the volume's provider and region. */
export function AttachDialog({ of: v, onClose }: { of: Volume; onClose: () => void }) {
  const nearby = useQuery(
    deploymentsPage({ status: ['running'], provider: v.provider, region: v.region, limit: 100 }, true),
  );
  const attach = useSend('post', `${volumePath}/attach`);
  const [choice, setChoice] = useState<string | null>(null);
  const deployments = nearby.data?.rows.filter((d) => d.capabilities.volumes) ?? [];
  return (
    <FormDialog
      title={`Attach ${v.name}`}
      submit="Attach"
      disabled={!choice}
      busy={attach.isPending}
      error={nearby.error ?? attach.error}
      onSubmit={() =>
        choice && attach.mutate({ ...withId(v.id), body: { deploymentId: choice } }, { onSuccess: onClose })
      }
      onClose={onClose}
    >
      {nearby.data && deployments.length === 0 ? (
        <div>
          No running deployments in this region.{' '}
          <Link to={`/offers?provider=${v.provider}&region=${v.region}`} className="link">
            Browse offers in this region
          </Link>
        </div>
      ) : (
        <Select
          label="Deployment"
          placeholder="Choose"
          data={deployments.map((d) => ({ value: d.id, label: `${d.name}, ${d.gpuCount} × ${d.gpuType}` }))}
          value={choice}
          onChange={setChoice}
          data-autofocus
        />
      )}
    </FormDialog>
  );
}
