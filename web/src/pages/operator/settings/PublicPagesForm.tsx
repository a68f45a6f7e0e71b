import { Switch } from '@mantine/core';
import { type Track, useSettingsGroup } from '../../../api/settings';
import { GroupForm } from './GroupForm';

/** Pages that anyone can read without signing in. */
export function PublicPagesForm({ track }: { track: Track }) {
  const g = useSettingsGroup('publicPages', track);
  return (
    <GroupForm of={g} what="public pages">
      <Switch
        label="Price page"
        description="Anyone can see offers and prices."
        checked={g.get('prices') === true}
        onChange={(e) => g.set('prices', e.currentTarget.checked)}
      />
      <Switch
        label="Status page"
        description="Anyone can see the status of providers and regions."
        checked={g.get('status') === true}
        onChange={(e) => g.set('status', e.currentTarget.checked)}
      />
    </GroupForm>
  );
}
