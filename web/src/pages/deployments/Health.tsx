import { Button, Menu } from '@mantine/core';
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

/** The levels that a check can be requested with. */
const levels = [
  [1, 'Quick check', 'Seconds: what the driver reports.'],
  [2, 'Check under load', 'Minutes: disturbs programs on the GPUs.'],
] as const;

const triggers = { launch: 'at launch', request: 'requested', schedule: 'scheduled' };

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
  const history = report.data?.checks ?? [];
  return (
    <Panel
      title="GPU health"
      actions={
        d.status === 'running' &&
        d.health.access === 'keep' &&
        d.health.keyInstalled && (
          <Menu position="bottom-end">
            <Menu.Target>
              <Button size="compact-sm" variant="default" loading={pending || check.isPending}>
                Check GPUs
              </Button>
            </Menu.Target>
            <Menu.Dropdown>
              {levels.map(([level, name, what]) => (
                <Menu.Item key={level} onClick={() => check.mutate({ ...withId(d.id), body: { level } })}>
                  {name}
                  <div className="small dim">{what}</div>
                </Menu.Item>
              ))}
            </Menu.Dropdown>
          </Menu>
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
      {history.length > 0 && (
        <details>
          <summary className="small">History</summary>
          <table className="plain-table" aria-label="History of checks" style={{ marginTop: 8 }}>
            <thead>
              <tr>
                <th scope="col">Check</th>
                <th scope="col">Verdict</th>
              </tr>
            </thead>
            <tbody>
              {history.map((c) => (
                <tr key={c.id}>
                  <td>
                    <Time at={c.createdAt} />, level {c.level}, {triggers[c.trigger]}
                    {c.offerId !== d.offerId && ', a machine of another offer'}
                    {c.reason && <div className="small dim">{c.reason}</div>}
                  </td>
                  <td>{c.finishedAt ? <VerdictStatus of={c.verdict} /> : 'In progress'}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </details>
      )}
    </Panel>
  );
}
