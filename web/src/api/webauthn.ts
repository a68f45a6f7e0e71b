// Passkeys: the browser's own dialog between two calls of the API.

import { call } from './client';
import { startOver } from './queries';

/**
 * Reports whether the browser supports passkeys here. Older browsers and pages without HTTPS do
 * not.
 */
export function passkeysSupported(): boolean {
  return typeof PublicKeyCredential !== 'undefined' && 'parseCreationOptionsFromJSON' in PublicKeyCredential;
}

/** Reports whether the user closed the browser's dialog, which is no failure. */
export function isDismissed(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'NotAllowedError';
}

/** The options are the WebAuthn standard's; libraries may wrap them in publicKey. */
function unwrap<T>(options: unknown): T {
  const o = options as { publicKey?: T };
  return o.publicKey ?? (options as T);
}

function json(credential: Credential | null) {
  if (!credential) throw new Error('The browser returned no passkey.');
  return (credential as PublicKeyCredential).toJSON() as Record<string, unknown>;
}

/** Creates a passkey for the signed-in user. */
export async function addPasskey(name: string) {
  const { challengeId, options } = await call('post', '/api/v1/account/me/passkeys/options', { body: {} });
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(unwrap(options));
  const credential = json(await navigator.credentials.create({ publicKey }));
  await call('post', '/api/v1/account/me/passkeys', { body: { challengeId, name, credential } });
}

/** Signs in with a passkey, which counts as both factors. */
export async function signInWithPasskey() {
  const { challengeId, options } = await call('post', '/api/v1/account/sessions/passkey/options', { body: {} });
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(unwrap(options));
  const credential = json(await navigator.credentials.get({ publicKey }));
  await call('post', '/api/v1/account/sessions/passkey', { body: { challengeId, credential } });
  await startOver();
}
