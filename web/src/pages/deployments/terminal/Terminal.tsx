import type { Deployment } from '../../../api/deployments';

export default function Terminal({ of: d }: { of: Deployment }) {
  return <div>{d.sshCommand}</div>;
}
