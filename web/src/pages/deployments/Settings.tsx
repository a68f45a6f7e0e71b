import { Button, Group, SegmentedControl, Switch, TagsInput, TextInput } from '@mantine/core';
import { useState } from 'react';
import { ApiError } from '../../api/client';
import { useNow } from '../../api/clock';
import { type Deployment, useUpdateDeployment } from '../../api/deployments';
import { ErrorBox } from '../../parts/ErrorBox';
import { Time } from '../../parts/Time';
import { localTime } from '../../parts/time';
import { toast } from '../../parts/toast';

export function Settings({ of: d }: { of: Deployment }) {
  return (
    <div className="stack" style={{ marginTop: 16, maxWidth: 720 }}>
      <Names of={d} />
      <Ending of={d} />
      <Protection of={d} />
    </div>
  );
}

function Names({ of: d }: { of: Deployment }) {
  const [name, setName] = useState(d.name);
  const [tags, setTags] = useState(d.tags);
  const update = useUpdateDeployment(d.id);
  const error = update.error instanceof ApiError ? update.error : null;
  const fault = (field: string) => error?.fields.find((f) => f.field.startsWith(field))?.message;
  const changed = name.trim() !== d.name || tags.join(' ') !== d.tags.join(' ');
  return (
    <section className="panel" aria-labelledby="names">
      <div className="panel-head">
        <h2 id="names">Name and tags</h2>
      </div>
      <form
        className="panel-body stack"
        onSubmit={(e) => {
          e.preventDefault();
          update.mutate({ name: name.trim(), tags }, { onSuccess: () => toast('Saved') });
        }}
      >
        <TextInput
          label="Name"
          value={name}
          onChange={(e) => setName(e.currentTarget.value)}
          maxLength={64}
          error={fault('name')}
          required
        />
        <TagsInput
          label="Tags"
          value={tags}
          onChange={setTags}
          maxTags={20}
          error={fault('tags')}
          clearable
          clearButtonProps={{ 'aria-label': 'Clear the tags' }}
        />
        {error && error.fields.length === 0 && <ErrorBox error={error} />}
        <Group>
          <Button type="submit" variant="default" loading={update.isPending} disabled={!changed || !name.trim()}>
            Save
          </Button>
        </Group>
      </form>
    </section>
  );
}

function Ending({ of: d }: { of: Deployment }) {
  const update = useUpdateDeployment(d.id);
  const now = useNow(60_000);
  const [hours, setHours] = useState('4');
  const at = now + Number(hours) * 3_600_000;
  return (
    <section className="panel" aria-labelledby="ending">
      <div className="panel-head">
        <h2 id="ending">Ends by itself</h2>
      </div>
      <div className="panel-body stack">
        <div role="status">
          {d.autoTerminateAt ? (
            <>
              It ends at <Time at={d.autoTerminateAt} />.
            </>
          ) : (
            'It runs until somebody terminates it, or the wallet is empty.'
          )}
        </div>
        <Group>
          <SegmentedControl
            aria-label="From now"
            value={hours}
            onChange={setHours}
            data={['1', '4', '12', '24', '72'].map((h) => ({ value: h, label: Number(h) < 48 ? `${h} h` : '3 days' }))}
          />
          <Button
            variant="default"
            loading={update.isPending}
            onClick={() =>
              update.mutate(
                { autoTerminateAt: new Date(at).toISOString() },
                { onSuccess: () => toast(`It ends ${localTime(at)}`) },
              )
            }
          >
            End it {localTime(at)}
          </Button>
          {d.autoTerminateAt && (
            <Button
              variant="subtle"
              color="gray"
              onClick={() =>
                update.mutate({ autoTerminateAt: null }, { onSuccess: () => toast('It no longer ends by itself') })
              }
            >
              Never
            </Button>
          )}
        </Group>
        <ErrorBox error={update.error} />
      </div>
    </section>
  );
}

function Protection({ of: d }: { of: Deployment }) {
  const update = useUpdateDeployment(d.id);
  return (
    <section className="panel" aria-labelledby="protection">
      <div className="panel-head">
        <h2 id="protection">Protection</h2>
      </div>
      <div className="panel-body stack">
        <Switch
          label="Refuse to terminate it"
          description="Also over the API, until this is switched off"
          checked={d.terminationProtection}
          disabled={update.isPending}
          onChange={(e) => update.mutate({ terminationProtection: e.currentTarget.checked })}
        />
        <ErrorBox error={update.error} />
      </div>
    </section>
  );
}
