import { Alert, Button, Group, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { Link, useLocation, useNavigate } from 'react-router';
import { call, type Schema } from '../../api/client';
import { fieldErrors, useSend } from '../../api/hooks';
import { useMe } from '../../api/session';
import { ErrorBox } from '../../parts/ErrorBox';
import { Facts } from '../../parts/Facts';
import { PageHead } from '../../parts/PageHead';
import { Ago } from '../../parts/Time';
import { ApiKeyFields, useApiKeyForm } from '../settings/ApiKeyFields';
import { completeCode, formatCode } from './code';
import './device.css';

/**
 * Where an app that shows a code gets its API key (RFC 8628's user code). The code is in the URL's
 * fragment, so that it outlives a reload and a sign-in, and no server receives it.
 */
export default function AuthorizeDevice() {
  const code = completeCode(useLocation().hash.slice(1));
  return <Code key={code} code={code} />;
}

function Code({ code }: { code: string }) {
  const navigate = useNavigate();
  const [typed, setTyped] = useState(code);
  const [result, setResult] = useState<'approved' | 'denied' | null>(null);
  // Fetched once: an unknown code counts as a guess, and an answered one is unknown afterwards.
  const request = useQuery({
    queryKey: ['device', code],
    queryFn: () => call('post', '/api/v1/account/device-authorizations/lookup', { body: { userCode: code } }),
    enabled: code !== '',
    retry: false,
    staleTime: 'static',
    gcTime: 0,
  });
  const submit = (e: FormEvent) => {
    e.preventDefault();
    if (typed === code) void request.refetch();
    else if (completeCode(typed)) navigate(`#${typed}`, { replace: true });
  };

  if (result) return <Result approved={result === 'approved'} />;
  if (request.data) return <Decision code={code} request={request.data} onResult={setResult} />;
  return (
    <>
      <PageHead title="Authorize a device">
        Enter the code that your app or terminal shows. You can review the request before you approve it.
      </PageHead>
      <form className="panel panel-body stack device" onSubmit={submit}>
        <TextInput
          label="Code"
          description="Eight letters, valid for ten minutes"
          placeholder="BCDF-GHJK"
          classNames={{ input: 'device-input' }}
          value={typed}
          onChange={(e) => setTyped(formatCode(e.currentTarget.value))}
          autoComplete="off"
          autoCapitalize="characters"
          spellCheck={false}
          required
        />
        <ErrorBox error={request.error} />
        <div>
          <Button type="submit" loading={request.isFetching} disabled={!completeCode(typed)}>
            Continue
          </Button>
        </div>
      </form>
    </>
  );
}

interface DecisionProps {
  code: string;
  request: Schema['DeviceAuthorization'];
  onResult: (result: 'approved' | 'denied') => void;
}

function Decision({ code, request, onResult }: DecisionProps) {
  const me = useMe().data;
  const form = useApiKeyForm(null, {
    name: request.clientId,
    ...(request.scopes.length > 0 && { scopes: request.scopes }),
  });
  const approve = useSend('post', '/api/v1/account/device-authorizations/approve');
  const deny = useSend('post', '/api/v1/account/device-authorizations/deny');
  const submit = (e: FormEvent) => {
    e.preventDefault();
    deny.reset();
    if (approve.isPending || deny.isPending) return;
    approve.mutate({ body: { userCode: code, ...form.created() } }, { onSuccess: () => onResult('approved') });
  };
  const { at, general } = fieldErrors(approve.error);
  return (
    <>
      <PageHead title="Authorize this app?">
        It gets an API key of {me?.account.name} with the permissions that you choose here.
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
                <span key="app" className="device-client">
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
          Approve only if you have just started this app and it shows this code. The app's name is not verified. If
          someone sent you the code or a link to this page, deny the request: they would get the key.
        </Alert>
        <section className="panel panel-body stack" aria-label="API key">
          <ApiKeyFields form={form} error={approve.error} />
        </section>
        <ErrorBox error={at('userCode') ? approve.error : general} />
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
              deny.mutate({ body: { userCode: code } }, { onSuccess: () => onResult('denied') });
            }}
          >
            Deny
          </Button>
        </Group>
      </form>
    </>
  );
}

function Result({ approved }: { approved: boolean }) {
  return (
    <>
      <PageHead title={approved ? 'Request approved' : 'Request denied'}>
        {approved
          ? 'Return to the app: it receives its key now. You can revoke the key under API keys.'
          : 'The app gets no access. No further action is needed.'}
      </PageHead>
      <Button component={Link} to="/settings/api-keys" variant="default">
        View API keys
      </Button>
    </>
  );
}
