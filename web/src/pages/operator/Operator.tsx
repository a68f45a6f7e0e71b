import { PageHead } from '../../parts/PageHead';

export default function Operator() {
  return <PageHead title="Operator" />;
}
