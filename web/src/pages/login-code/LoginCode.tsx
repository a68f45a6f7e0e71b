import { Alert, Button, Group, TextInput } from '@mantine/core';
import { type FormEvent, useState } from 'react';
import { Link, useLocation, useNavigate } from 'react-router';
import { ApiError } from '../../api/client';
import { useAllowLogin, useDenyLogin, useLogin, type WaitingLogin } from '../../api/logins';
import { useMe } from '../../api/session';
import { ErrorBox } from '../../parts/ErrorBox';
import { Facts } from '../../parts/Facts';
import { PageHead } from '../../parts/PageHead';
import { Ago } from '../../parts/Time';
import { KeyFields, useKeyForm } from '../settings/KeyForm';
import './login-code.css';

/**
 * Where a program that shows a code gets its API key. The code stands behind the #, so that it outlives a reload and a
 * sign-in, and no server on the way sees it.
 */
export default function LoginCode() {
  const given = whole(useLocation().hash.slice(1));
  return <Code key={given} given={given} />;
}

/** A code as it is shown, "BCDF-GHJK", of whatever somebody types; as much of it as is there. */
function shown(typed: string): string {
  const letters = typed
    .toUpperCase()
    .replace(/[^A-Z0-9]/g, '')
    .slice(0, 8);
  return letters.length > 4 ? `${letters.slice(0, 4)}-${letters.slice(4)}` : letters;
}

/** The code, or nothing where it is not complete. */
function whole(typed: string): string {
  const code = shown(typed);
  return code.length === 9 ? code : '';
}

function Code({ given }: { given: string }) {
  const navigate = useNavigate();
  const [code, setCode] = useState(given);
  const [done, setDone] = useState<'allowed' | 'denied' | null>(null);
  const login = useLogin(given);
  const ask = (e: FormEvent) => {
    e.preventDefault();
    if (code === given) void login.refetch();
    else if (whole(code)) navigate(`#${code}`, { replace: true });
  };

  if (done) return <Done allowed={done === 'allowed'} />;
  if (login.data) return <Decide code={given} login={login.data} onDone={setDone} />;
  return (
    <>
      <PageHead title="Log a program in">
        A program that you started shows you a code. Type it here, and you will see what asks before it gets anything.
      </PageHead>
      <form className="panel panel-body stack login-code" onSubmit={ask}>
        <TextInput
          label="Code"
          description="Eight letters, good for ten minutes"
          placeholder="BCDF-GHJK"
          classNames={{ input: 'login-code-input' }}
          value={code}
          onChange={(e) => setCode(shown(e.currentTarget.value))}
          autoComplete="off"
          autoCapitalize="characters"
          spellCheck={false}
          required
        />
        <ErrorBox error={login.error} />
        <div>
          <Button type="submit" loading={login.isFetching} disabled={!whole(code)}>
            Continue
          </Button>
        </div>
      </form>
    </>
  );
}

interface DecideProps {
  code: string;
  login: WaitingLogin;
  onDone: (what: 'allowed' | 'denied') => void;
}

function Decide({ code, login, onDone }: DecideProps) {
  const me = useMe().data;
  const form = useKeyForm(null, { name: login.client, ...(login.scopes.length > 0 && { scopes: login.scopes }) });
  const allow = useAllowLogin();
  const deny = useDenyLogin();
  const busy = allow.isPending || deny.isPending;
  const submit = (e: FormEvent) => {
    e.preventDefault();
    deny.reset();
    if (!busy) allow.mutate({ userCode: code, ...form.made() }, { onSuccess: () => onDone('allowed') });
  };
  // What is wrong with a field stands at the field.
  const atFields = allow.error instanceof ApiError && allow.error.fields.some((f) => !f.field.startsWith('userCode'));
  return (
    <>
      <PageHead title="Give this program a key?">
        It gets an API key of {me?.account.name}, and can do with it what you choose here.
      </PageHead>
      <form className="stack login-code" onSubmit={submit}>
        <section className="panel panel-body" aria-label="What asks">
          <Facts
            items={[
              [
                'Code',
                <b key="code" className="mono login-code-shown">
                  {code}
                </b>,
              ],
              [
                'Calls itself',
                <span key="client" className="login-code-client">
                  {login.client}
                </span>,
              ],
              [
                'Asks from',
                <span key="address" className="mono">
                  {login.address || 'an unknown address'}
                </span>,
              ],
              ['Begun', <Ago key="begun" at={login.createdAt} />],
              ['Ends', <Ago key="ends" at={login.expiresAt} />],
              ['Account', me?.account.name],
            ]}
          />
        </section>
        <Alert color="amber" variant="outline" title="Only what you have started yourself">
          Allow it only if you have just started this program, and it shows this very code. Nobody has checked what it
          calls itself. If somebody sent you the code or a link to this page, deny it: they would get the key.
        </Alert>
        <section className="panel panel-body stack" aria-label="The key">
          <KeyFields form={form} error={allow.error} />
        </section>
        {!atFields && <ErrorBox error={allow.error} />}
        <ErrorBox error={deny.error} />
        <Group>
          <Button type="submit" loading={allow.isPending} disabled={!form.ready || deny.isPending}>
            Allow
          </Button>
          <Button
            variant="default"
            loading={deny.isPending}
            disabled={allow.isPending}
            onClick={() => {
              allow.reset();
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

function Done({ allowed }: { allowed: boolean }) {
  const text = allowed
    ? 'Go back to it: it fetches its key now. You find the key among the others, and can revoke it there.'
    : 'It gets nothing, and is told so. If you did not start it, somebody else did: nothing more is to be done.';
  return (
    <>
      <PageHead title={allowed ? 'The program is allowed' : 'The program is denied'}>{text}</PageHead>
      <Button component={Link} to="/settings/api-keys" variant="default">
        To the API keys
      </Button>
    </>
  );
}
