import { Alert, Button, Group, PasswordInput, TextInput } from '@mantine/core';
import { useMemo, useState } from 'react';
import { encode } from 'uqr';
import { useConfirmTotp, useRemoveTotp, useStartTotp } from '../../api/members';
import { Confirm } from '../../parts/Confirm';
import { CodeBlock, CopyField } from '../../parts/Copy';
import { download } from '../../parts/download';
import { ErrorBox } from '../../parts/ErrorBox';
import { Chip } from '../../parts/Status';

/** The code of an authenticator app as a second factor. */
export function Totp({ on, email }: { on: boolean; email: string }) {
  const start = useStartTotp();
  const confirm = useConfirmTotp();
  const remove = useRemoveTotp();
  const [code, setCode] = useState('');
  const [removing, setRemoving] = useState(false);
  const [password, setPassword] = useState('');
  const codes = confirm.data?.recoveryCodes;
  return (
    <section className="panel" aria-labelledby="totp">
      <div className="panel-head">
        <h2 id="totp">Authenticator app {on && <Chip tone="good">on</Chip>}</h2>
        {on && !codes && (
          <Button size="compact-sm" variant="default" onClick={() => setRemoving(true)}>
            Switch off
          </Button>
        )}
      </div>
      <div className="panel-body stack">
        {codes ? (
          <>
            <Alert color="amber" variant="outline" title="Keep these recovery codes">
              Each signs you in once where the app is lost. They are shown this once.
            </Alert>
            <CodeBlock value={codes.join('\n')} label="recovery codes" />
            <Group>
              <Button
                variant="default"
                onClick={() =>
                  download(
                    'billet-recovery-codes.txt',
                    `Recovery codes of ${email} at ${location.host}\n\n${codes.join('\n')}\n`,
                  )
                }
              >
                Download
              </Button>
              <Button onClick={() => confirm.reset()}>I have them</Button>
            </Group>
          </>
        ) : on ? (
          <div className="dim">Signing in with the password asks for a code of the app, too.</div>
        ) : start.data ? (
          <form
            className="totp"
            onSubmit={(e) => {
              e.preventDefault();
              confirm.mutate(code.replaceAll(' ', ''), { onSuccess: () => start.reset() });
            }}
          >
            <QR text={start.data.otpauthUrl} />
            <div className="stack">
              <div>Scan this with an authenticator app, or type the secret into it:</div>
              <CopyField value={start.data.secret} label="secret" />
              <TextInput
                label="Code that the app shows"
                value={code}
                onChange={(e) => setCode(e.currentTarget.value)}
                inputMode="numeric"
                autoComplete="one-time-code"
                maxLength={8}
              />
              <ErrorBox error={confirm.error} />
              <Group>
                <Button type="submit" disabled={code.replaceAll(' ', '').length < 6} loading={confirm.isPending}>
                  Switch on
                </Button>
                <Button variant="subtle" color="gray" onClick={() => start.reset()}>
                  Cancel
                </Button>
              </Group>
            </div>
          </form>
        ) : (
          <>
            <div className="dim">
              A code from your phone besides the password: a stolen password alone opens nothing then.
            </div>
            <ErrorBox error={start.error} />
            <div>
              <Button variant="default" loading={start.isPending} onClick={() => start.mutate()}>
                Set up
              </Button>
            </div>
          </>
        )}
      </div>
      {removing && (
        <Confirm
          opened
          onClose={() => setRemoving(false)}
          title="Switch the authenticator app off?"
          action="Switch off"
          danger
          disabled={!password}
          busy={remove.isPending}
          error={remove.error}
          onConfirm={() =>
            remove.mutate(password, {
              onSuccess: () => {
                setRemoving(false);
                setPassword('');
              },
            })
          }
        >
          <PasswordInput
            label="Your password"
            value={password}
            onChange={(e) => setPassword(e.currentTarget.value)}
            autoComplete="current-password"
            visibilityToggleButtonProps={{ 'aria-label': 'Show or hide the password' }}
            data-autofocus
          />
        </Confirm>
      )}
    </section>
  );
}

/** Drawn here: a secret must not go to somebody else's picture service. Black on white, as cameras want it. */
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
