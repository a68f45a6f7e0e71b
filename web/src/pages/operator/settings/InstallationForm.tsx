import { type Track, useSettingsGroup } from '../../../api/settings';
import { GroupForm, TextSetting } from './GroupForm';

/** Name and links of the installation. The first run asks for the name and the support address. */
export function InstallationForm({ track, first = false }: { track: Track; first?: boolean }) {
  const g = useSettingsGroup('installation', track);
  return (
    <GroupForm of={g} what="installation">
      <TextSetting
        of={g}
        name="name"
        label="Name"
        description="Name of your cloud, on the sign-in page and in emails"
        maxLength={64}
        required
      />
      <TextSetting
        of={g}
        name="supportAddress"
        label="Support address"
        description="Email address for questions from tenants; empty for none"
        placeholder="help@example.com"
        type="email"
      />
      {!first && (
        <>
          <TextSetting
            of={g}
            name="termsUrl"
            label="URL of the terms of service"
            description="New users must accept them; empty for none"
            placeholder="https://example.com/terms"
            type="url"
          />
          <TextSetting
            of={g}
            name="termsVersion"
            label="Version of the terms"
            description="It is recorded for each user who accepts. Change it when the terms change."
            placeholder="2028-01"
            maxLength={40}
          />
          <TextSetting
            of={g}
            name="privacyUrl"
            label="URL of the privacy policy"
            description="Linked where users accept the terms; empty for none"
            placeholder="https://example.com/privacy"
            type="url"
          />
        </>
      )}
    </GroupForm>
  );
}
