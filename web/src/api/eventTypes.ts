import type { webhooks } from './schema';

/**
 * The label of every event type of the OpenAPI document. A missing or unknown type fails the type
 * check.
 */
export const eventLabels: Record<keyof webhooks, string> = {
  'deployment.created': 'Created',
  'deployment.deploying': 'Deploying',
  'deployment.progress': 'Progress',
  'deployment.attempt_failed': 'Attempt failed',
  'deployment.running': 'Running (SSH reachable)',
  'deployment.stopped': 'Stopped',
  'deployment.updated': 'Updated',
  'deployment.address_changed': 'Address changed',
  'deployment.rescue_ended': 'Rescue ended',
  'deployment.action_requested': 'Action requested',
  'deployment.action_done': 'Action completed',
  'deployment.action_failed': 'Action failed',
  'deployment.health_checked': 'GPUs checked',
  'deployment.health_failed': 'GPU check failed',
  'deployment.charged': 'Charged',
  'deployment.refunded': 'Refunded',
  'deployment.termination_queued': 'Termination scheduled',
  'deployment.terminating': 'Terminating',
  'deployment.terminated': 'Terminated',
  'deployment.failed': 'Failed',
  'deployment.interrupted': 'Interrupted by the provider',
  'volume.created': 'Created',
  'volume.available': 'Available',
  'volume.updated': 'Updated',
  'volume.grown': 'Resized',
  'volume.attaching': 'Attaching',
  'volume.attached': 'Attached',
  'volume.detaching': 'Detaching',
  'volume.charged': 'Charged',
  'volume.refunded': 'Refunded',
  'volume.deleting': 'Deleting',
  'volume.deleted': 'Deleted',
  'volume.failed': 'Failed',
  'account.low_balance': 'Low balance',
  'account.budget_reached': 'Budget threshold reached',
  'account.topped_up': 'Top-up received',
  'account.top_up_failed': 'Top-up failed',
  'account.payment_authentication_required': 'Payment confirmation needed',
  'account.payment_refunded': 'Payment refunded',
  'account.payment_disputed': 'Payment disputed',
  'account.credit_expiring': 'Credit expires soon',
  'account.credit_expired': 'Credit expired',
  'account.billing_details_missing': 'Billing details missing',
  'invoice.issued': 'Invoice issued',
  'account.provider_outage': 'Provider outage',
  'account.provider_recovered': 'Provider recovered',
  'account.past_due': 'Past due',
  'account.recovered': 'Balance restored',
  'account.deployments_ended': 'Deployments terminated',
  'account.volumes_deleted': 'Volumes deleted',
  'account.suspended': 'Account suspended',
  'account.service_credit': 'Service credit received',
  'account.resumed': 'Account resumed',
  'webhook.paused': 'Webhook paused',
  'webhook.disabled': 'Webhook disabled',
  'webhook.test': 'Test',
};

/** What a webhook can subscribe to: all events of a kind, or one type. */
export const webhookTypes = Object.keys(eventLabels)
  .filter((type) => type !== 'webhook.test')
  .flatMap((type, n, all) => {
    const kind = `${type.split('.')[0]}.*`;
    return all.findIndex((other) => other.startsWith(kind.slice(0, -1))) === n ? [kind, type] : [type];
  });
