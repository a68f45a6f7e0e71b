import { Button, Group, SegmentedControl, Switch, TagsInput, TextInput } from '@mantine/core';
import { useState } from 'react';
import { useNow } from '../../api/clock';
import { type Deployment, useUpdateDeployment } from '../../api/deployments';
import { fieldErrors, withId } from '../../api/hooks';
import { ErrorBox } from '../../parts/ErrorBox';
import { LimitFields } from '../../parts/LimitFields';
import { autoTerminatesAt, limitsOf } from '../../parts/limits';
import { Panel } from '../../parts/Panel';
import { Time } from '../../parts/Time';
import { localTime } from '../../parts/time';
import { toast } from '../../parts/toast';

export function Settings({ of: d }: { of: Deployment }) {
  return (
    <div className="stack" style={{ marginTop: 16, maxWidth: 720 }}>
      <NameAndTags of={d} />
      <AutoTerminate of={d} />
      <Limits of={d} />
      <Protection of={d} />
    </div>
  );
}

function NameAndTags({ of: d }: { of: Deployment }) {
  const [name, setName] = useState(d.name);
  const [tags, setTags] = useState(d.tags);
  const [project, setProject] = useState(d.project ?? '');
  const update = useUpdateDeployment();
  const { at, general } = fieldErrors(update.error);
  const changed = name.trim() !== d.name || tags.join(' ') !== d.tags.join(' ') || project.trim() !== (d.project ?? '');
  return (
    <Panel title="Name, project and tags">
      <form
        className="stack"
        onSubmit={(e) => {
          e.preventDefault();
          update.mutate(
            { ...withId(d.id), body: { name: name.trim(), tags, project: project.trim() || null } },
            { onSuccess: () => toast('Saved') },
          );
        }}
      >
        <TextInput
          label="Name"
          value={name}
          onChange={(e) => setName(e.currentTarget.value)}
          maxLength={64}
          error={at('name')}
          required
        />
        <TextInput
          label="Project"
          placeholder="None"
          value={project}
          onChange={(e) => setProject(e.currentTarget.value)}
          maxLength={64}
          error={at('project')}
        />
        <TagsInput
          label="Tags"
          value={tags}
          onChange={setTags}
          maxTags={20}
          error={at('tags')}
          clearable
          clearButtonProps={{ 'aria-label': 'Clear tags' }}
        />
        <ErrorBox error={general} />
        <Group>
          <Button type="submit" variant="default" loading={update.isPending} disabled={!changed || !name.trim()}>
            Save
          </Button>
        </Group>
      </form>
    </Panel>
  );
}

function AutoTerminate({ of: d }: { of: Deployment }) {
  const update = useUpdateDeployment();
  const now = useNow(60_000);
  const [hours, setHours] = useState('4');
  const end = autoTerminatesAt(d);
  const at = now + Number(hours) * 3_600_000;
  const set = (autoTerminateAt: string | null, done: string) =>
    update.mutate({ ...withId(d.id), body: { autoTerminateAt } }, { onSuccess: () => toast(done) });
  return (
    <Panel title="Auto-terminate">
      <div role="status">
        {end ? (
          <>
            Terminates <Time at={end} />.
          </>
        ) : d.maxSpend !== null || d.maxRuntimeMinutes !== null ? (
          'Terminates when it reaches a limit.'
        ) : (
          'Runs until terminated or your balance runs out.'
        )}
      </div>
      <Group>
        <SegmentedControl
          aria-label="Time from now"
          value={hours}
          onChange={setHours}
          data={['1', '4', '12', '24', '72'].map((h) => ({ value: h, label: Number(h) < 48 ? `${h} h` : '3 days' }))}
        />
        <Button
          variant="default"
          loading={update.isPending}
          onClick={() => set(new Date(at).toISOString(), `Terminates ${localTime(at)}`)}
        >
          Terminate {localTime(at)}
        </Button>
        {d.autoTerminateAt && (
          <Button variant="subtle" color="gray" onClick={() => set(null, 'Auto-terminate cleared')}>
            Clear
          </Button>
        )}
      </Group>
      <ErrorBox error={update.error} />
    </Panel>
  );
}

function Limits({ of: d }: { of: Deployment }) {
  const stored = { maxSpend: String(d.maxSpend ?? ''), maxRuntimeMinutes: String(d.maxRuntimeMinutes ?? '') };
  const [texts, setTexts] = useState(stored);
  const update = useUpdateDeployment();
  const { errors, ...limits } = limitsOf(texts);
  const failed = fieldErrors(update.error);
  const changed = limits.maxSpend !== d.maxSpend || limits.maxRuntimeMinutes !== d.maxRuntimeMinutes;
  return (
    <Panel title="Limits">
      <form
        className="stack"
        noValidate
        onSubmit={(e) => {
          e.preventDefault();
          update.mutate({ ...withId(d.id), body: limits }, { onSuccess: () => toast('Limits saved') });
        }}
      >
        <LimitFields
          texts={texts}
          onChange={(part) => setTexts((old) => ({ ...old, ...part }))}
          errors={{
            maxSpend: errors.maxSpend ?? failed.at('maxSpend'),
            maxRuntimeMinutes: errors.maxRuntimeMinutes ?? failed.at('maxRuntimeMinutes'),
          }}
        />
        <ErrorBox error={failed.general} />
        <Group>
          <Button
            type="submit"
            variant="default"
            loading={update.isPending}
            disabled={!changed || Object.keys(errors).length > 0}
          >
            Save limits
          </Button>
        </Group>
      </form>
    </Panel>
  );
}

function Protection({ of: d }: { of: Deployment }) {
  const update = useUpdateDeployment();
  return (
    <Panel title="Protection">
      <Switch
        label="Termination protection"
        description="Blocks termination from the dashboard, CLI and API"
        checked={d.terminationProtection}
        disabled={update.isPending}
        onChange={(e) => update.mutate({ ...withId(d.id), body: { terminationProtection: e.currentTarget.checked } })}
      />
      <ErrorBox error={update.error} />
    </Panel>
  );
}
