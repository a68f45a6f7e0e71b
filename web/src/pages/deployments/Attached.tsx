import { Button, Group, Select } from '@mantine/core';
import { useState } from 'react';
import { Link } from 'react-router';
import type { Deployment } from '../../api/deployments';
import { useCan } from '../../api/session';
import { useAttach, useDetach, useVolumes } from '../../api/volumes';
import { ErrorBox } from '../../parts/ErrorBox';
import { Status } from '../../parts/Status';
import { size } from '../offers/cells';

/** The volumes of this machine, and those that it could have. */
export function Attached({ of: d }: { of: Deployment }) {
  const can = useCan();
  const volumes = useVolumes(can('volumes:read'));
  const attach = useAttach();
  const detach = useDetach();
  const [pick, setPick] = useState<string | null>(null);
  const mine = (volumes.data ?? []).filter((v) => v.attachedTo === d.id);
  const free = (volumes.data ?? []).filter(
    (v) => v.provider === d.provider && v.region === d.region && v.status === 'available',
  );
  const write = can('volumes:write') && d.status === 'running';
  if (!can('volumes:read')) return null;
  return (
    <section className="panel" aria-labelledby="volumes">
      <div className="panel-head">
        <h2 id="volumes">Volumes</h2>
        <Link to={`/volumes?new=${d.provider}/${d.region}`} className="link small">
          Create one here
        </Link>
      </div>
      <div className="panel-body stack">
        {mine.map((v) => (
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
                  loading={detach.isPending && detach.variables === v.id}
                  onClick={() => detach.mutate(v.id)}
                  aria-label={`Detach ${v.name}`}
                >
                  Detach
                </Button>
              )}
            </Group>
          </div>
        ))}
        {mine.length === 0 && <span className="dim small">None attached.</span>}
        {write && free.length > 0 && (
          <Group gap="xs" align="flex-end">
            <Select
              label="Attach a volume"
              placeholder="Choose"
              data={free.map((v) => ({ value: v.id, label: `${v.name}, ${size(v.sizeGb)}` }))}
              value={free.some((v) => v.id === pick) ? pick : null}
              onChange={setPick}
              style={{ flex: 1 }}
            />
            <Button
              variant="default"
              disabled={!pick}
              loading={attach.isPending}
              onClick={() =>
                pick && attach.mutate({ id: pick, deploymentId: d.id }, { onSuccess: () => setPick(null) })
              }
            >
              Attach
            </Button>
          </Group>
        )}
        <ErrorBox error={attach.error ?? detach.error} />
      </div>
    </section>
  );
}
