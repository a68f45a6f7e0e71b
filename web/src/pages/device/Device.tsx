import { Alert, Button, Group, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import { Link, useLocation, useNavigate } from 'react-router';
import { ApiError } from '../../api/client';
import {
  type DeviceAuthorization,
  useApproveDevice,
  useDenyDevice,
  useDeviceAuthorization,
} from '../../api/deviceAuthorization';
import { useMe } from '../../api/session';
import { ErrorBox } from '../../parts/ErrorBox';
import { Facts } from '../../parts/Facts';
import { PageHead } from '../../parts/PageHead';
import { Ago } from '../../parts/Time';
import { KeyFields, useKeyForm } from '../settings/KeyForm';
import './device.css';

/**
 * The verification page of device authorization (RFC 8628): a user approves the request of a
 * program for an API key. The code is behind the #, so that it survives a reload and a sign-in,
 * and no server logs it.
 */
export default function Device() {
  const given = complete(useLocation().hash.slice(1));
  return <Code key={given} given={given} />;
}

/** A typed code in the form that programs show, "BCDF-GHJK", as far as it is complete. */
function shown(typed: string): string {
  const letters = typed
    .toUpperCase()
    .replace(/[^A-Z0-9]/g, '')
    .slice(0, 8);
  return letters.length > 4 ? `${letters.slice(0, 4)}-${letters.slice(4)}` : letters;
}

/** The code, or '' while it is incomplete. */
function complete(typed: string): string {
  const code = shown(typed);
  return code.length === 9 ? code : '';
}

function Code({ given }: { given: string }) {
  const navigate = useNavigate();
  const [code, setCode] = useState(given);
  const [done, setDone] = useState<'approved' | 'denied' | null>(null);
  const request = useDeviceAuthorization(given);
  const submit = (e: FormEvent) => {
    e.preventDefault();
    if (code === given) void request.refetch();
    else if (complete(code)) navigate(`#${code}`, { replace: true });
  };

  if (done) return <Done approved={done === 'approved'} />;
  if (request.data) return <Decide code={given} request={request.data} onDone={setDone} />;
  return (
    <>
      <PageHead title="Authorize a device">
        Enter the code that the program on your device shows. You can review the request before you approve it.
      </PageHead>
      <form className="panel panel-body stack device" onSubmit={submit}>
        <TextInput
          label="Code"
          description="Eight letters, valid for ten minutes"
          placeholder="BCDF-GHJK"
          classNames={{ input: 'device-input' }}
          value={code}
          onChange={(e) => setCode(shown(e.currentTarget.value))}
          autoComplete="off"
          autoCapitalize="characters"
          spellCheck={false}
          required
        />
        <ErrorBox error={request.error} />
        <div>
          <Button type="submit" loading={request.isFetching} disabled={!complete(code)}>
            Continue
          </Button>
        </div>
      </form>
    </>
  );
}

interface DecideProps {
  code: string;
  request: DeviceAuthorization;
  onDone: (what: 'approved' | 'denied') => void;
}

function Decide({ code, request, onDone }: DecideProps) {
  const me = useMe().data;
  const form = useKeyForm(null, {
    name: request.clientId,
    ...(request.scopes.length > 0 && { scopes: request.scopes }),
  });
  const approve = useApproveDevice();
  const deny = useDenyDevice();
  const busy = approve.isPending || deny.isPending;
  const submit = (e: FormEvent) => {
    e.preventDefault();
    deny.reset();
    if (!busy) approve.mutate({ userCode: code, ...form.made() }, { onSuccess: () => onDone('approved') });
  };
  // An error of a field is shown at the field.
  const atFields =
    approve.error instanceof ApiError && approve.error.fields.some((f) => !f.field.startsWith('userCode'));
  return (
    <>
      <PageHead title="Authorize this app?">
        It gets an API key for {me?.account.name} with the permissions that you choose here.
      </PageHead>
      <form className="stack device" onSubmit={submit}>
        <section className="panel panel-body" aria-label="Request">
          <Facts
            items={[
              [
                'Code',
                <b key="code" className="mono device-shown">
                  {code}
                </b>,
              ],
              [
                'App',
                <span key="client" className="device-client">
                  {request.clientId}
                </span>,
              ],
              [
                'IP address',
                <span key="address" className="mono">
                  {request.address || 'Unknown'}
                </span>,
              ],
              ['Requested', <Ago key="requested" at={request.createdAt} />],
              ['Expires', <Ago key="expires" at={request.expiresAt} />],
              ['Account', me?.account.name],
            ]}
          />
        </section>
        <Alert color="amber" variant="outline" title="Only approve requests you started">
          Approve only if you just started this app and it shows this code. The app name is not verified. If someone
          sent you the code or a link to this page, deny the request: they would get the key.
        </Alert>
        <section className="panel panel-body stack" aria-label="API key">
          <KeyFields form={form} error={approve.error} />
        </section>
        {!atFields && <ErrorBox error={approve.error} />}
        <ErrorBox error={deny.error} />
        <Group>
          <Button type="submit" loading={approve.isPending} disabled={!form.ready || deny.isPending}>
            Approve
          </Button>
          <Button
            variant="default"
            loading={deny.isPending}
            disabled={approve.isPending}
            onClick={() => {
              approve.reset();
              deny.mutate(code, { onSuccess: () => onDone('denied') });
            }}
          >
            Deny
          </Button>
        </Group>
      </form>
    </>
  );
}

function Done({ approved }: { approved: boolean }) {
  const text = approved
    ? 'Go back to the app. It now has its key, which you can review or revoke under API keys.'
    : 'The app gets no key. If you did not start it, there is nothing else to do.';
  return (
    <>
      <PageHead title={approved ? 'Request approved' : 'Request denied'}>{text}</PageHead>
      <Button component={Link} to="/settings/api-keys" variant="default">
        View API keys
      </Button>
    </>
  );
}
