import { Checkbox } from '@mantine/core';
import type { Schema } from '../../api/client';
import { useGet, useSend } from '../../api/hooks';
import { useMe } from '../../api/session';
import { ErrorBox } from '../../parts/ErrorBox';
import { Panel } from '../../parts/Panel';
import { toast } from '../../parts/toast';

const path = '/api/v1/account/mail-preferences';

type Switch = Schema['MailSwitch'];

/** Which mails about the current account the user gets. */
export function MailPreferences() {
  const account = useMe().data?.account.name ?? 'this account';
  const preferences = useGet(path);
  const update = useSend('patch', path);
  const kinds = preferences.data?.kinds ?? [];
  const toggle = (kind: Switch, enabled: boolean) =>
    update.mutate(
      {
        body: {
          off: kinds.filter((k) => k.canSwitchOff && (k.kind === kind.kind ? !enabled : !k.enabled)).map((k) => k.kind),
        },
      },
      { onSuccess: () => toast('Saved') },
    );
  return (
    <Panel title="Emails">
      <div className="stack">
        <p className="muted">
          {preferences.data?.configured === false
            ? 'This server does not send email yet. Your choices take effect once it does.'
            : `Emails about ${account}. Messages about security and data loss are always sent.`}
        </p>
        {kinds.map((k) => (
          <Checkbox
            key={k.kind}
            label={k.description.replace(/\.$/, '')}
            description={k.canSwitchOff ? undefined : 'Always sent'}
            checked={k.enabled}
            disabled={!k.canSwitchOff || update.isPending}
            onChange={(e) => toggle(k, e.currentTarget.checked)}
          />
        ))}
        <ErrorBox error={preferences.error ?? update.error} />
      </div>
    </Panel>
  );
}
