import type { webhooks } from './schema';

/** Every type of event, as the OpenAPI document lists them, and its label. A type that is missing here, or is none, fails the type check. */
export const eventLabels: Record<keyof webhooks, string> = {
  'deployment.created': 'Asked for',
  'deployment.deploying': 'Deploying',
  'deployment.progress': 'Progress',
  'deployment.attempt_failed': 'Attempt failed',
  'deployment.running': 'Running: SSH answers',
  'deployment.stopped': 'Stopped',
  'deployment.updated': 'Changed',
  'deployment.address_changed': 'Address changed',
  'deployment.action_requested': 'Action requested',
  'deployment.action_done': 'Action done',
  'deployment.action_failed': 'Action failed',
  'deployment.charged': 'Charged',
  'deployment.refunded': 'Refunded',
  'deployment.termination_queued': 'Termination queued',
  'deployment.terminating': 'Terminating',
  'deployment.terminated': 'Terminated',
  'deployment.failed': 'Failed',
  'deployment.interrupted': 'Interrupted by the provider',
  'volume.created': 'Created',
  'volume.available': 'Available',
  'volume.updated': 'Updated',
  'volume.grown': 'Grown',
  'volume.attaching': 'Attaching',
  'volume.attached': 'Attached',
  'volume.detaching': 'Detaching',
  'volume.charged': 'Charged',
  'volume.refunded': 'Refunded',
  'volume.deleting': 'Deleting',
  'volume.deleted': 'Deleted',
  'volume.failed': 'Failed',
  'account.past_due': 'Balance used up',
  'account.recovered': 'Balance recovered',
  'account.deployments_ended': 'Deployments ended',
  'account.volumes_deleted': 'Volumes deleted',
  'webhook.paused': 'Webhook paused',
  'webhook.disabled': 'Webhook disabled',
  'webhook.test': 'Test',
};

/** What a webhook can be sent: all events of a kind, or one type. */
export const webhookTypes = Object.keys(eventLabels)
  .filter((type) => type !== 'webhook.test')
  .flatMap((type, n, all) => {
    const kind = `${type.split('.')[0]}.*`;
    return all.findIndex((other) => other.startsWith(kind.slice(0, -1))) === n ? [kind, type] : [type];
  });
