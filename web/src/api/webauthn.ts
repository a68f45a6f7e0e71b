// Passkeys: the browser's own dialogue between two calls of the API.

import { api, data } from './client';
import { key, queryClient, startOver } from './queries';

/** Older browsers, and pages without https, have no passkeys; the button is not shown there. */
export function passkeysPossible(): boolean {
  return typeof PublicKeyCredential !== 'undefined' && 'parseCreationOptionsFromJSON' in PublicKeyCredential;
}

/** Closing the browser's dialogue is a choice, not a failure. */
export function dismissed(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'NotAllowedError';
}

/** The document leaves the options to the WebAuthn standard; libraries wrap them in publicKey or do not. */
function inner<T>(options: unknown): T {
  const o = options as { publicKey?: T };
  return o.publicKey ?? (options as T);
}

function json(credential: Credential | null) {
  if (!credential) throw new Error('The browser gave no passkey.');
  return (credential as PublicKeyCredential).toJSON() as Record<string, unknown>;
}

/** Makes a passkey for the signed-in user. */
export async function addPasskey(name: string) {
  const { challengeId, options } = await data(api.POST('/api/v1/account/me/passkeys/options', { body: {} }));
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(inner(options));
  const credential = json(await navigator.credentials.create({ publicKey }));
  await data(api.POST('/api/v1/account/me/passkeys', { body: { challengeId, name, credential } }));
  void queryClient.invalidateQueries({ queryKey: key.passkeys });
  void queryClient.invalidateQueries({ queryKey: key.me });
}

/** Signs in with a passkey, which counts as both factors. */
export async function signInWithPasskey() {
  const { challengeId, options } = await data(api.POST('/api/v1/account/sessions/passkey/options', { body: {} }));
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(inner(options));
  const credential = json(await navigator.credentials.get({ publicKey }));
  await data(api.POST('/api/v1/account/sessions/passkey', { body: { challengeId, credential } }));
  await startOver();
}
