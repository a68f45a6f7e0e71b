import { Alert, Button, Group, PasswordInput, TextInput } from '@mantine/core';
import { useMemo, useState } from 'react';
import { encode } from 'uqr';
import { useSend } from '../../api/hooks';
import { CodeBlock, CopyField } from '../../parts/Copy';
import { useConfirm } from '../../parts/confirm';
import { download } from '../../parts/download';
import { ErrorBox } from '../../parts/ErrorBox';
import { Panel } from '../../parts/Panel';
import { Chip } from '../../parts/Status';

const path = '/api/v1/account/me/totp';

/** Codes of an authenticator app as the second factor. */
export function Totp({ on, email }: { on: boolean; email: string }) {
  const start = useSend('post', path);
  const verify = useSend('post', `${path}/confirm`);
  const remove = useSend('delete', path);
  const confirm = useConfirm();
  const codes = verify.data?.recoveryCodes;

  const askToTurnOff = () =>
    confirm({
      title: 'Turn off the authenticator app?',
      body: (
        <PasswordInput
          name="password"
          label="Your password"
          autoComplete="current-password"
          visibilityToggleButtonProps={{ 'aria-label': 'Show or hide password' }}
          required
          data-autofocus
        />
      ),
      action: 'Turn off',
      danger: true,
      run: (form) => remove.mutateAsync({ body: { password: String(form.get('password')) } }),
    });

  return (
    <Panel
      title={<>Authenticator app {on && <Chip tone="good">on</Chip>}</>}
      actions={
        on &&
        !codes && (
          <Button size="compact-sm" variant="default" onClick={askToTurnOff}>
            Turn off
          </Button>
        )
      }
    >
      {codes ? (
        <RecoveryCodes codes={codes} email={email} onClose={() => verify.reset()} />
      ) : on ? (
        <div className="dim">Signing in with a password requires a code from your authenticator app.</div>
      ) : start.data ? (
        <SetUp
          secret={start.data}
          busy={verify.isPending}
          error={verify.error}
          onCode={(code) => verify.mutate({ body: { code } }, { onSuccess: () => start.reset() })}
          onCancel={() => start.reset()}
        />
      ) : (
        <>
          <div className="dim">Require a code from your authenticator app when signing in.</div>
          <ErrorBox error={start.error} />
          <div>
            <Button variant="default" loading={start.isPending} onClick={() => start.mutate({ body: {} })}>
              Set up
            </Button>
          </div>
        </>
      )}
    </Panel>
  );
}

interface SetUpProps {
  secret: { otpauthUrl: string; secret: string };
  busy: boolean;
  error: unknown;
  onCode: (code: string) => void;
  onCancel: () => void;
}

function SetUp({ secret, busy, error, onCode, onCancel }: SetUpProps) {
  const [code, setCode] = useState('');
  const bare = code.replaceAll(' ', '');
  return (
    <form
      className="totp"
      onSubmit={(e) => {
        e.preventDefault();
        onCode(bare);
      }}
    >
      <QR text={secret.otpauthUrl} />
      <div className="stack">
        <div>Scan the QR code with an authenticator app, or enter the secret:</div>
        <CopyField value={secret.secret} label="secret" />
        <TextInput
          label="Code from the app"
          value={code}
          onChange={(e) => setCode(e.currentTarget.value)}
          inputMode="numeric"
          autoComplete="one-time-code"
          maxLength={8}
        />
        <ErrorBox error={error} />
        <Group>
          <Button type="submit" disabled={bare.length < 6} loading={busy}>
            Turn on
          </Button>
          <Button variant="subtle" color="gray" onClick={onCancel}>
            Cancel
          </Button>
        </Group>
      </div>
    </form>
  );
}

function RecoveryCodes({ codes, email, onClose }: { codes: string[]; email: string; onClose: () => void }) {
  const save = () =>
    download('billet-recovery-codes.txt', `Recovery codes of ${email} at ${location.host}\n\n${codes.join('\n')}\n`);
  return (
    <>
      <Alert color="amber" variant="outline" title="Save your recovery codes">
        Each code signs you in once without the app. They are not shown again.
      </Alert>
      <CodeBlock value={codes.join('\n')} label="recovery codes" />
      <Group>
        <Button variant="default" onClick={save}>
          Download
        </Button>
        <Button onClick={onClose}>Done, I've saved them</Button>
      </Group>
    </>
  );
}

/** Drawn in the page, so that the secret goes to no image service. Black on white, for cameras. */
function QR({ text }: { text: string }) {
  const { data, size } = useMemo(() => encode(text, { border: 2 }), [text]);
  let path = '';
  data.forEach((row, y) => {
    row.forEach((dark, x) => {
      if (dark) path += `M${x} ${y}h1v1h-1z`;
    });
  });
  return (
    <svg
      viewBox={`0 0 ${size} ${size}`}
      className="qr"
      role="img"
      aria-label="QR code of the secret"
      shapeRendering="crispEdges"
    >
      <rect width={size} height={size} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}
