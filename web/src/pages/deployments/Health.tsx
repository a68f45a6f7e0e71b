import { Button } from '@mantine/core';
import { type Deployment, useCheckHealth, useHealth } from '../../api/deployments';
import { withId } from '../../api/hooks';
import { ErrorBox } from '../../parts/ErrorBox';
import { Facts } from '../../parts/Facts';
import { Panel } from '../../parts/Panel';
import { Status } from '../../parts/Status';
import { Time } from '../../parts/Time';

type Verdict = NonNullable<Deployment['health']['verdict']>;

const checkNames: Record<string, string> = {
  collection: 'Collection',
  gpu_count: 'GPU count',
  gpu_model: 'GPU model',
  gpu_memory: 'GPU memory',
  compute: 'Compute',
  ecc: 'ECC',
  row_remap: 'Row remapping',
  reset: 'Reset',
  xid: 'Kernel log',
  partitioning: 'Partitioning',
  power: 'Power',
  clocks: 'Clocks',
  pcie: 'PCIe',
  nvlink: 'NVLink',
  fabric: 'Fabric',
  infiniband: 'InfiniBand',
  dcgm: 'DCGM',
  nvbandwidth: 'nvbandwidth',
  nccl: 'NCCL',
};

/** A verdict. "Not checked" has the color of none. */
function VerdictStatus({ of: v }: { of: Verdict | null }) {
  return <Status value={(v ?? 'not_checked').replace('_', ' ')} />;
}

/** The newest check of the GPUs. Renders nothing where the operator has none checked. */
export function Health({ of: d }: { of: Deployment }) {
  const report = useHealth(d);
  const check = useCheckHealth();
  if (d.health.policy === 'off') return null;
  const pending = report.data?.checks.some((c) => c.finishedAt === null) ?? false;
  const nodes = report.data?.latest?.nodes ?? [];
  return (
    <Panel
      title="GPU health"
      actions={
        d.status === 'running' &&
        d.health.access === 'keep' &&
        d.health.keyInstalled && (
          <Button
            size="compact-sm"
            variant="default"
            loading={pending || check.isPending}
            onClick={() => check.mutate({ ...withId(d.id), body: {} })}
          >
            Check GPUs
          </Button>
        )
      }
    >
      <ErrorBox error={check.error ?? report.error} />
      <Facts
        items={[
          ['Verdict', <VerdictStatus key="v" of={d.health.verdict} />],
          ['Reason', d.health.reason ?? undefined],
          ['Checked', d.health.checkedAt ? <Time key="t" at={d.health.checkedAt} /> : undefined],
          ["Billet's key", d.health.keyInstalled ? 'Installed; root on the machine can remove it' : 'None'],
        ]}
      />
      {pending && (
        <p className="small dim" role="status">
          A check is in progress.
        </p>
      )}
      {nodes.length > 0 && (
        <details>
          <summary className="small">Individual checks</summary>
          <table className="plain-table" aria-label="Individual checks" style={{ marginTop: 8 }}>
            <thead>
              <tr>
                {nodes.length > 1 && <th scope="col">Node</th>}
                <th scope="col">Check</th>
                <th scope="col">Verdict</th>
              </tr>
            </thead>
            <tbody>
              {nodes.flatMap((n) =>
                n.checks.map((c) => (
                  <tr key={`${n.index} ${c.name}`}>
                    {nodes.length > 1 && <td>{n.index}</td>}
                    <td>
                      {checkNames[c.name] ?? c.name}
                      <div className="small dim">{c.detail}</div>
                    </td>
                    <td>
                      <VerdictStatus of={c.verdict} />
                    </td>
                  </tr>
                )),
              )}
            </tbody>
          </table>
        </details>
      )}
    </Panel>
  );
}
