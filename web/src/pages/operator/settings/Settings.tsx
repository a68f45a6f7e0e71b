import { Link } from 'react-router';
import { useSettings } from '../../../api/settings';
import { ErrorBox } from '../../../parts/ErrorBox';
import { Panel } from '../../../parts/Panel';
import { ColorForm, LogoForm } from './Branding';
import { GPUHealthForm } from './GPUHealthForm';
import { InstallationForm } from './InstallationForm';
import { MailForm } from './MailForm';
import { PublicPagesForm } from './PublicPagesForm';
import { SignUpForm } from './SignUpForm';
import { useUnsaved } from './useUnsaved';

/** What is set while the server runs. */
export function Settings() {
  const track = useUnsaved();
  const settings = useSettings();
  if (settings.error && !settings.data)
    return <ErrorBox error={settings.error} retry={() => void settings.refetch()} />;
  return (
    <div className="stack" style={{ maxWidth: 720 }}>
      <div className="dim">
        Changes take effect within seconds on every server, without a restart.{' '}
        <Link to="/operator/setup">View the setup steps</Link>
      </div>
      <Panel title="Installation">
        <InstallationForm track={track} />
      </Panel>
      <Panel title="Logo">
        <LogoForm />
      </Panel>
      <Panel title="Color">
        <ColorForm track={track} />
      </Panel>
      <Panel title="Mail server">
        <MailForm track={track} />
      </Panel>
      <Panel title="Sign-up">
        <SignUpForm track={track} />
      </Panel>
      <Panel title="GPU checks">
        <GPUHealthForm track={track} />
      </Panel>
      <Panel title="Public pages">
        <PublicPagesForm track={track} />
      </Panel>
    </div>
  );
}
