import { Alert, Radio, TagsInput, Textarea, TextInput } from '@mantine/core';
import { useEffect, useMemo, useRef, useState } from 'react';
import { useNavigate } from 'react-router';
import { ApiError } from '../../api/client';
import { serverNow, useNow } from '../../api/clock';
import { useDeploy } from '../../api/deployments';
import type { Offer } from '../../api/offers';
import type { SSHKey } from '../../api/sshKeys';
import { ErrorBox } from '../../parts/ErrorBox';
import { sentence } from '../../parts/text';
import { toast } from '../../parts/toast';
import { bodyOf, suggestName } from './body';
import { CloudInit } from './CloudInit';
import { useDraft } from './draft';
import { End } from './End';
import { Keys } from './Keys';
import { Summary } from './Summary';
import { VolumePicks } from './VolumePicks';

interface Props {
  offer: Offer;
  keys: SSHKey[];
  keysError: unknown;
}

/** Which part of the form shows a fault that the server found in a field of the body. */
const shownAt: Record<string, string> = {
  ssh_public_key: 'sshKeyIds',
  sshPublicKey: 'sshKeyIds',
  sshKeyId: 'sshKeyIds',
  autoTerminateAt: 'end',
};
const shown = ['name', 'operatingSystem', 'sshKeyIds', 'volumeIds', 'cloudInit', 'tags', 'end'];

export function DeployForm({ offer: o, keys, keysError }: Props) {
  const { draft, change, forget } = useDraft(o.id, {
    name: suggestName(o),
    operatingSystem: o.operatingSystems[0] ?? '',
    // One key is nobody's question; of several, the choice is the user's.
    sshKeyIds: keys.length === 1 ? keys.map((k) => k.id) : [],
    volumeIds: [],
    cloudInit: '',
    tags: [],
    end: '',
  });
  const deploy = useDeploy();
  const navigate = useNavigate();
  const form = useRef<HTMLFormElement>(null);
  const [missing, setMissing] = useState<Record<string, string>>({});

  const failure = deploy.error instanceof ApiError ? deploy.error : null;
  const faults = useMemo(() => {
    const found: Record<string, string> = {};
    for (const f of failure?.fields ?? []) {
      const field = f.field.replace(/\[.*$/, '');
      const at = shownAt[field] ?? field;
      found[at] = found[at] ? `${found[at]} ${sentence(f.message)}` : sentence(f.message);
    }
    return { ...found, ...missing };
  }, [failure, missing]);
  const hidden =
    failure &&
    failure.fields.length > 0 &&
    failure.fields.every((f) => shown.includes(shownAt[bare(f.field)] ?? bare(f.field)));

  // One intent, one machine: a second press after a lost answer carries the same key, and gets the first answer.
  const intent = useRef({ body: '', once: '' });
  const minute = useNow(60_000);
  const preview = useMemo(() => bodyOf(o, draft, minute), [o, draft, minute]);

  // After a refusal the first field with a fault is where the eyes should be.
  useEffect(() => {
    if (Object.keys(faults).length === 0) return;
    form.current?.querySelector<HTMLElement>('[aria-invalid="true"], [data-fault]')?.focus();
  }, [faults]);

  const submit = () => {
    const needed: Record<string, string> = {};
    if (!draft.name.trim()) needed.name = 'Give it a name.';
    if (draft.sshKeyIds.length === 0) needed.sshKeyIds = 'Choose at least one key, or nobody could log in.';
    setMissing(needed);
    if (Object.keys(needed).length > 0) return;
    const body = bodyOf(o, draft, serverNow());
    const { autoTerminateAt: _, ...lasting } = body;
    const same = JSON.stringify([lasting, draft.end]);
    if (intent.current.body !== same || (failure && !failure.outage))
      intent.current = { body: same, once: crypto.randomUUID() };
    deploy.mutate(
      { body, once: intent.current.once },
      {
        onSuccess: (d) => {
          forget();
          toast(`${d.name} is being deployed`);
          navigate(`/deployments/${d.id}`);
        },
      },
    );
  };

  return (
    <form
      ref={form}
      className="deploy"
      noValidate
      onSubmit={(e) => {
        e.preventDefault();
        if (!deploy.isPending) submit();
      }}
    >
      <div className="stack">
        {failure && !hidden && <ErrorBox error={failure} />}
        {hidden && (
          <Alert color="red" variant="outline" role="alert" title="Something needs another look">
            {failure.message} <span className="mono small dim">{failure.requestId}</span>
          </Alert>
        )}
        <section className="panel panel-body stack">
          <TextInput
            label="Name"
            value={draft.name}
            onChange={(e) => change({ name: e.currentTarget.value })}
            error={faults.name}
            maxLength={64}
            required
            autoComplete="off"
          />
          <Radio.Group
            label="Operating system"
            value={draft.operatingSystem}
            onChange={(operatingSystem) => change({ operatingSystem })}
            error={faults.operatingSystem}
          >
            <div className="choices">
              {o.operatingSystems.map((system) => (
                <Radio.Card key={system} value={system} className="choice">
                  <Radio.Indicator size="xs" />
                  <span>{system}</span>
                </Radio.Card>
              ))}
            </div>
          </Radio.Group>
        </section>
        <Keys
          keys={keys}
          loadError={keysError}
          chosen={draft.sshKeyIds}
          onChange={(sshKeyIds) => {
            change({ sshKeyIds });
            setMissing({});
          }}
          error={faults.sshKeyIds}
        />
        {o.capabilities.volumes && (
          <VolumePicks
            offer={o}
            chosen={draft.volumeIds}
            onChange={(volumeIds) => change({ volumeIds })}
            error={faults.volumeIds}
          />
        )}
        <section className="panel panel-body stack">
          <End offer={o} end={draft.end} onChange={(end) => change({ end })} error={faults.end} />
          <TagsInput
            label="Tags"
            description="Words of yours, to find it by"
            placeholder={draft.tags.length ? undefined : 'training, team-a…'}
            value={draft.tags}
            onChange={(tags) => change({ tags })}
            maxTags={20}
            error={faults.tags}
            clearable
            clearButtonProps={{ 'aria-label': 'Clear the tags' }}
          />
          {o.capabilities.cloudInit ? (
            <CloudInit
              text={draft.cloudInit}
              onChange={(cloudInit) => change({ cloudInit })}
              error={faults.cloudInit}
            />
          ) : (
            <Textarea label="cloud-init" disabled value="" placeholder="Not with this provider" />
          )}
        </section>
      </div>
      <Summary offer={o} body={preview} busy={deploy.isPending} />
    </form>
  );
}

function bare(field: string): string {
  return field.replace(/\[.*$/, '');
}
