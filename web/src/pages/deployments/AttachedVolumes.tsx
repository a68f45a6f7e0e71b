import { Button, Group, Select } from '@mantine/core';
import { useState } from 'react';
import { Link } from 'react-router';
import type { Deployment } from '../../api/deployments';
import { useSend, withId } from '../../api/hooks';
import { useCan } from '../../api/session';
import { useVolumes, volumePath } from '../../api/volumes';
import { ErrorBox } from '../../parts/ErrorBox';
import { Panel } from '../../parts/Panel';
import { Status } from '../../parts/Status';
import { size } from '../offers/cells';

/** The volumes of the deployment, and those that can be attached. */
export function AttachedVolumes({ of: d }: { of: Deployment }) {
  const can = useCan();
  const volumes = useVolumes(can('volumes:read')).data ?? [];
  const attach = useSend('post', `${volumePath}/attach`);
  const detach = useSend('post', `${volumePath}/detach`);
  const [choice, setChoice] = useState<string | null>(null);
  const attached = volumes.filter((v) => v.attachedTo === d.id);
  const available = volumes.filter(
    (v) => v.provider === d.provider && v.region === d.region && v.status === 'available',
  );
  const write = can('volumes:write') && d.status === 'running';
  if (!can('volumes:read')) return null;
  return (
    <Panel
      title="Volumes"
      actions={
        <Link to={`/volumes?new=${d.provider}/${d.region}`} className="link small">
          Create volume
        </Link>
      }
    >
      {attached.map((v) => (
        <div key={v.id} className="card-row">
          <span style={{ minWidth: 0 }}>
            <span className="cell-main strong">{v.name}</span>
            <span className="cell-sub">
              {size(v.sizeGb)}
              {v.mountPath && (
                <>
                  {' '}
                  at <code className="mono">{v.mountPath}</code>
                </>
              )}
            </span>
          </span>
          <Group gap="xs" wrap="nowrap">
            <Status value={v.status} live />
            {write && v.status === 'attached' && (
              <Button
                size="compact-sm"
                variant="default"
                loading={detach.isPending}
                onClick={() => detach.mutate({ ...withId(v.id), body: {} })}
                aria-label={`Detach ${v.name}`}
              >
                Detach
              </Button>
            )}
          </Group>
        </div>
      ))}
      {attached.length === 0 && <span className="dim small">No volumes attached.</span>}
      {write && available.length > 0 && (
        <Group gap="xs" align="flex-end">
          <Select
            label="Attach volume"
            placeholder="Choose"
            data={available.map((v) => ({ value: v.id, label: `${v.name}, ${size(v.sizeGb)}` }))}
            value={available.some((v) => v.id === choice) ? choice : null}
            onChange={setChoice}
            style={{ flex: 1 }}
          />
          <Button
            variant="default"
            disabled={!choice}
            loading={attach.isPending}
            onClick={() =>
              choice &&
              attach.mutate({ ...withId(choice), body: { deploymentId: d.id } }, { onSuccess: () => setChoice(null) })
            }
          >
            Attach
          </Button>
        </Group>
      )}
      <ErrorBox error={attach.error ?? detach.error} />
    </Panel>
  );
}
