import { Checkbox, NativeSelect, Textarea, TextInput } from '@mantine/core';
import { useState } from 'react';
import type { Schema } from '../../api/client';
import { useNow } from '../../api/clock';
import { fieldErrors, useAll, useSend, withId } from '../../api/hooks';
import { FormDialog } from '../../parts/FormDialog';
import { toast } from '../../parts/toast';

type Announcement = Schema['Announcement'];
type Level = Announcement['level'];

const levels: Record<Level, string> = { info: 'Info', warning: 'Warning', critical: 'Critical' };

/** The value of a datetime-local field, in the reader's zone. */
function localInput(at: number): string {
  const d = new Date(at);
  return new Date(at - d.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** Creates an announcement, or changes one. */
export function AnnouncementDialog({ of: a, onClose }: { of?: Announcement; onClose: () => void }) {
  const now = useNow(60_000);
  const create = useSend('post', '/api/v1/operator/announcements');
  const update = useSend('patch', '/api/v1/operator/announcements/{id}');
  const providers = useAll('/api/v1/operator/provider-accounts').data ?? [];
  const [title, setTitle] = useState(a?.title ?? '');
  const [text, setText] = useState(a?.text ?? '');
  const [level, setLevel] = useState<Level>(a?.level ?? 'info');
  const [from, setFrom] = useState(() => (a ? localInput(Date.parse(a.startsAt)) : ''));
  const [until, setUntil] = useState(() => localInput(a ? Date.parse(a.endsAt) : now + 24 * 3_600_000));
  const [provider, setProvider] = useState(a?.provider ?? '');
  const [region, setRegion] = useState(a?.region ?? '');
  const [banner, setBanner] = useState(a?.banner ?? true);
  const [mail, setMail] = useState(a?.mail ?? false);
  const errors = fieldErrors(create.error ?? update.error);
  const done = (what: string) => ({
    onSuccess: () => {
      toast(`${title.trim()} ${what}`);
      onClose();
    },
  });
  const submit = () => {
    const body = {
      title: title.trim(),
      text,
      level,
      ...(from && { startsAt: new Date(from).toISOString() }),
      ...(until && { endsAt: new Date(until).toISOString() }),
      provider,
      region: provider ? region.trim() : '',
      banner,
      mail,
    };
    if (a) update.mutate({ ...withId(a.id), body }, done('saved'));
    else create.mutate({ body }, done('created'));
  };
  return (
    <FormDialog
      title={a ? 'Edit announcement' : 'Create announcement'}
      submit={a ? 'Save announcement' : 'Create announcement'}
      size="lg"
      disabled={!title.trim()}
      busy={create.isPending || update.isPending}
      error={errors.general}
      onSubmit={submit}
      onClose={onClose}
    >
      <TextInput
        label="Title"
        value={title}
        onChange={(e) => setTitle(e.currentTarget.value)}
        error={errors.at('title')}
        maxLength={64}
        required
        data-autofocus
      />
      <Textarea
        label="Text"
        description="Plain text, optional"
        value={text}
        onChange={(e) => setText(e.currentTarget.value)}
        error={errors.at('text')}
        rows={4}
        maxLength={2000}
      />
      <NativeSelect
        label="Level"
        value={level}
        onChange={(e) => setLevel(e.currentTarget.value as Level)}
        data={Object.entries(levels).map(([value, label]) => ({ value, label }))}
      />
      <div className="split">
        <TextInput
          type="datetime-local"
          label="From"
          description="Your time zone; now if empty"
          value={from}
          onChange={(e) => setFrom(e.currentTarget.value)}
          error={errors.at('startsAt')}
        />
        <TextInput
          type="datetime-local"
          label="Until"
          description="Your time zone"
          value={until}
          onChange={(e) => setUntil(e.currentTarget.value)}
          error={errors.at('endsAt')}
          required
        />
      </div>
      <div className="split">
        <NativeSelect
          label="For"
          value={provider}
          onChange={(e) => setProvider(e.currentTarget.value)}
          error={errors.at('provider')}
          data={[
            { value: '', label: 'All accounts' },
            ...providers.map((p) => ({ value: p.slug, label: `Accounts with machines at ${p.name}` })),
          ]}
        />
        {provider && (
          <TextInput
            label="Region"
            value={region}
            onChange={(e) => setRegion(e.currentTarget.value)}
            error={errors.at('region')}
            placeholder="All regions"
          />
        )}
      </div>
      <Checkbox
        label="Show a banner in the dashboard and, if it is for all accounts, on the status page"
        checked={banner}
        onChange={(e) => setBanner(e.currentTarget.checked)}
        error={errors.at('banner')}
      />
      <Checkbox
        label="Send an email to each member, once"
        checked={mail}
        onChange={(e) => setMail(e.currentTarget.checked)}
        disabled={!!a?.mailedAt}
        error={errors.at('mail')}
      />
    </FormDialog>
  );
}
