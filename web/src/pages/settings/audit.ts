import type { operations } from '../../api/schema';

type Operation = keyof operations;

/** The actions that the log is filtered by most. Others can be typed. */
export const actions: string[] = [
  'createDeployment',
  'updateDeployment',
  'terminateDeployment',
  'bulkUpdateDeployments',
  'reinstallDeployment',
  'openConsole',
  'createVolume',
  'updateVolume',
  'deleteVolume',
  'attachVolume',
  'detachVolume',
  'createImage',
  'deleteImage',
  'createSshKey',
  'deleteSshKey',
  'createApiKey',
  'updateApiKey',
  'revokeApiKey',
  'createWebhook',
  'updateWebhook',
  'deleteWebhook',
  'createInvitation',
  'acceptInvitation',
  'updateMember',
  'removeMember',
  'signIn',
  'changePassword',
] satisfies Operation[];

/** The page of a resource, or of its kind, which shows that one; null where it has none. */
export function pageOf(subject: string): string | null {
  const pages: Record<string, string> = {
    dep: `/deployments/${subject}`,
    vol: `/volumes?search=${subject}`,
    img: `/images?search=${subject}`,
    ssh: `/ssh-keys?search=${subject}`,
    key: `/settings/api-keys?search=${subject}`,
    whk: `/settings/webhooks?search=${subject}`,
    usr: `/settings/members?search=${subject}`,
    inv: '/settings/members',
    psk: '/settings/profile',
  };
  return pages[subject.slice(0, 3)] ?? null;
}

/** "createSshKey" as "create SSH key". */
export function actionWords(action: string): string {
  return action
    .replaceAll(/([a-z])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .replaceAll(/\b(api|oidc|ssh|totp)\b/g, (name) => name.toUpperCase());
}
