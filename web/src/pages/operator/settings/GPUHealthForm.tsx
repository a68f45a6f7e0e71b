import { Select, TagsInput } from '@mantine/core';
import { type Track, useSettingsGroup } from '../../../api/settings';
import { GroupForm } from './GroupForm';

const policies = [
  { value: 'off', label: 'Off: machines are not checked' },
  { value: 'report', label: 'Report: the verdict is shown' },
  { value: 'require', label: 'Require: GPUs must pass before a deployment runs' },
];

const exceptions = [
  ['off', 'Not checked'],
  ['report', 'Checked, the verdict is shown'],
  ['require', 'Must pass'],
] as const;

/** Which offers' GPUs are checked. */
export function GPUHealthForm({ track }: { track: Track }) {
  const g = useSettingsGroup('gpuHealth', track);
  return (
    <GroupForm of={g} what="GPU checks">
      <Select
        label="Policy"
        description={
          'For all offers that are not named below. Recommended: Report, ' +
          'and Require for providers whose images have a GPU driver.'
        }
        data={policies}
        value={String(g.get('policy') ?? 'off')}
        onChange={(v) => v && g.set('policy', v)}
        error={g.error('policy')}
        allowDeselect={false}
      />
      {exceptions.map(([name, label]) => (
        <TagsInput
          key={name}
          label={label}
          description="Slugs of providers and IDs of offers. An offer counts more than its provider."
          value={(g.get(name) ?? []) as string[]}
          onChange={(v) => g.set(name, v)}
          error={g.error(name)}
        />
      ))}
    </GroupForm>
  );
}
