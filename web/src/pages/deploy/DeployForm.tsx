import { Alert, TagsInput, Textarea, TextInput } from '@mantine/core';
import { useQueries } from '@tanstack/react-query';
import { useEffect, useMemo, useRef, useState } from 'react';
import { useNavigate } from 'react-router';
import { ApiError, type Schema } from '../../api/client';
import { serverNow, useNow } from '../../api/clock';
import { deploymentsPath } from '../../api/deployments';
import { useSend } from '../../api/hooks';
import { useIdempotencyKey } from '../../api/idempotency';
import { type Offer, offerQuery } from '../../api/offers';
import { ErrorBox } from '../../parts/ErrorBox';
import { LimitFields } from '../../parts/LimitFields';
import { limitsOf } from '../../parts/limits';
import { sentence } from '../../parts/text';
import { toast } from '../../parts/toast';
import { AutoTerminate } from './AutoTerminate';
import { CloudInit } from './CloudInit';
import { type Draft, useDraft } from './draft';
import { type Fallback, Fallbacks } from './Fallbacks';
import { Quote, useQuote } from './Quote';
import { bodyOf, suggestName } from './request';
import { SshKeyField } from './SshKeyField';
import { Summary } from './Summary';
import { SystemField } from './SystemField';
import { VolumeField } from './VolumeField';

interface Props {
  offer: Offer;
  keys: Schema['SSHKey'][];
  keysError: unknown;
}

/** The part of the form that shows the error of a field of the body, where their names differ. */
const partOf: Record<string, string> = {
  ssh_public_key: 'sshKeyIds',
  sshPublicKey: 'sshKeyIds',
  sshKeyId: 'sshKeyIds',
  autoTerminateAt: 'end',
  imageId: 'operatingSystem',
};
const parts = [
  'name',
  'operatingSystem',
  'sshKeyIds',
  'candidates',
  'volumeIds',
  'cloudInit',
  'tags',
  'project',
  'end',
  'maxSpend',
  'maxRuntimeMinutes',
];

export function DeployForm({ offer: o, keys, keysError }: Props) {
  const {
    draft,
    change: keep,
    forget,
  } = useDraft(o.id, {
    name: suggestName(o),
    operatingSystem: o.operatingSystems[0] ?? '',
    imageId: '',
    // A single key needs no choice.
    sshKeyIds: keys.length === 1 ? keys.map((k) => k.id) : [],
    volumeIds: [],
    cloudInit: '',
    tags: [],
    project: '',
    end: '',
    maxSpend: '',
    maxRuntimeMinutes: '',
    fallbackIds: [],
    quoteId: '',
  });
  const deploy = useSend('post', deploymentsPath);
  const dryRun = useSend('post', deploymentsPath);
  const change = (part: Partial<Draft>) => {
    dryRun.reset(); // it was about another request
    keep(part);
  };
  const queries = useQueries({ queries: draft.fallbackIds.map((id) => offerQuery(id)) });
  const chosen = draft.fallbackIds.map((id, i) => fallbackOf(id, queries[i]?.data, queries[i]?.error));
  const fallbacks = chosen.flatMap((f) => f.offer ?? []);
  const loading = chosen.some((f) => !f.offer && !f.error);
  const { quote } = useQuote(draft.quoteId);
  const keyFor = useIdempotencyKey();
  const navigate = useNavigate();
  const form = useRef<HTMLFormElement>(null);
  const [missing, setMissing] = useState<Record<string, string>>({});

  // Each of the two resets the other: there is one answer on the page.
  const refused = deploy.error ?? dryRun.error;
  const failure = refused instanceof ApiError ? refused : null;
  const errors = useMemo(() => {
    const found: Record<string, string> = {};
    for (const f of failure?.fields ?? []) {
      const part = partOfField(f.field);
      found[part] = [found[part], sentence(f.message)].filter(Boolean).join('\n');
    }
    return { ...found, ...missing };
  }, [failure, missing]);
  const atFields =
    failure && failure.fields.length > 0 && failure.fields.every((f) => parts.includes(partOfField(f.field)));

  const minute = useNow(60_000);
  const preview = bodyOf(o, draft, minute, fallbacks, quote?.quoteId);

  // After a refusal the first field with an error gets the focus.
  useEffect(() => {
    if (Object.keys(errors).length === 0) return;
    form.current?.querySelector<HTMLElement>('[aria-invalid="true"], [data-invalid]')?.focus();
  }, [errors]);

  /** The request, or null after it has marked what is missing. */
  const checked = () => {
    const empty: Record<string, string> = { ...limitsOf(draft).errors };
    if (!draft.name.trim()) empty.name = 'Enter a name.';
    if (draft.sshKeyIds.length === 0) empty.sshKeyIds = 'Choose at least one SSH key.';
    // The request must name what the list shows.
    if (fallbacks.length < chosen.length) empty.candidates = 'Remove the offers that cannot be used, or try again.';
    setMissing(empty);
    if (Object.keys(empty).length > 0) return null;
    return bodyOf(o, draft, serverNow(), fallbacks, quote?.quoteId);
  };
  const validate = () => {
    const body = checked();
    deploy.reset();
    if (body) dryRun.mutate({ body: { ...body, dryRun: true } });
  };
  const submit = () => {
    const body = checked();
    if (!body) return;
    dryRun.reset();
    // A relative auto-terminate time moves with the clock; the user's choice of it does not.
    const { autoTerminateAt: _, ...rest } = body;
    const key = keyFor([rest, draft.end], deploy.error);
    deploy.mutate(
      { params: { header: { 'Idempotency-Key': key } }, body },
      {
        onSuccess: (d) => {
          forget();
          toast(`Deploying ${d.name}`);
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
        if (!deploy.isPending && !loading) submit();
      }}
    >
      <div className="stack">
        {failure && !atFields && <ErrorBox error={failure} />}
        {atFields && (
          <Alert color="red" variant="outline" role="alert" title="Check the highlighted fields">
            {failure.message} <span className="mono small dim">{failure.requestId}</span>
          </Alert>
        )}
        <section className="panel panel-body stack">
          <TextInput
            label="Name"
            value={draft.name}
            onChange={(e) => change({ name: e.currentTarget.value })}
            error={errors.name}
            maxLength={64}
            required
            autoComplete="off"
          />
          <SystemField
            offer={o}
            operatingSystem={draft.operatingSystem}
            imageId={draft.imageId}
            onChange={change}
            error={errors.operatingSystem}
          />
        </section>
        <SshKeyField
          keys={keys}
          loadError={keysError}
          chosen={draft.sshKeyIds}
          onChange={(sshKeyIds) => {
            change({ sshKeyIds });
            setMissing({});
          }}
          error={errors.sshKeyIds}
        />
        <Fallbacks
          offer={o}
          operatingSystem={draft.operatingSystem}
          ownImage={draft.imageId !== ''}
          chosen={chosen}
          onChange={(fallbackIds) => {
            change({ fallbackIds, quoteId: '' });
            setMissing({});
          }}
          error={errors.candidates}
        />
        {o.capabilities.volumes && (
          <VolumeField
            offer={o}
            chosen={draft.volumeIds}
            onChange={(volumeIds) => change({ volumeIds })}
            error={errors.volumeIds}
          />
        )}
        <section className="panel panel-body stack">
          <AutoTerminate offer={o} end={draft.end} onChange={(end) => change({ end })} error={errors.end} />
          <LimitFields
            texts={draft}
            onChange={change}
            errors={{ maxSpend: errors.maxSpend, maxRuntimeMinutes: errors.maxRuntimeMinutes }}
          />
          <TextInput
            label="Project"
            description="Groups deployments for filtering, cost reports and API keys"
            placeholder="None"
            value={draft.project}
            onChange={(e) => change({ project: e.currentTarget.value })}
            error={errors.project}
            maxLength={64}
            autoComplete="off"
          />
          <TagsInput
            label="Tags"
            description="Labels for filtering and cost reports"
            placeholder={draft.tags.length ? undefined : 'training, team-a'}
            value={draft.tags}
            onChange={(tags) => change({ tags })}
            maxTags={20}
            error={errors.tags}
            clearable
            clearButtonProps={{ 'aria-label': 'Clear tags' }}
          />
          {o.capabilities.cloudInit ? (
            <CloudInit
              text={draft.cloudInit}
              onChange={(cloudInit) => change({ cloudInit })}
              error={errors.cloudInit}
            />
          ) : (
            <Textarea label="cloud-init" disabled value="" placeholder="Not supported by this provider" />
          )}
        </section>
      </div>
      <Summary
        offer={o}
        fallbacks={fallbacks}
        quote={quote}
        lock={
          <Quote offer={o} id={draft.quoteId} several={chosen.length > 0} onChange={(quoteId) => change({ quoteId })} />
        }
        body={preview}
        busy={deploy.isPending}
        loading={loading}
        validating={dryRun.isPending}
        valid={dryRun.data}
        onValidate={validate}
      />
    </form>
  );
}

/** An offer that is gone is not used, though its last data is here. A failed read keeps it. */
function fallbackOf(id: string, offer: Offer | undefined, error: unknown): Fallback {
  const gone = error instanceof ApiError && error.status === 404;
  return { id, offer: gone ? undefined : offer, error: gone || !offer ? error : null };
}

function partOfField(field: string): string {
  const name = field.replace(/\[.*$/, '');
  return partOf[name] ?? name;
}
