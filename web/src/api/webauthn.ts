// Passkeys: the browser's own dialogue between two calls of the API. Bytes travel as base64url without padding.

import { send } from './client';
import { key, queryClient, startOver } from './queries';

const base = '/api/v1/account';

interface Challenge {
  challengeId: string;
  options: { publicKey?: Options } & Options;
}

interface Descriptor {
  id: string;
  type: 'public-key';
  transports?: AuthenticatorTransport[];
}

interface Options {
  challenge?: string;
  user?: { id: string; name: string; displayName: string };
  excludeCredentials?: Descriptor[];
  allowCredentials?: Descriptor[];
  [more: string]: unknown;
}

export function passkeysPossible(): boolean {
  return typeof PublicKeyCredential !== 'undefined';
}

function bytes(text: string): ArrayBuffer {
  const plain = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(plain, (c) => c.charCodeAt(0)).buffer;
}

function text(buffer: ArrayBuffer | null): string | undefined {
  if (!buffer) return undefined;
  const plain = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(plain).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

const described = (list?: Descriptor[]) => list?.map((d) => ({ ...d, id: bytes(d.id) }));

/** Makes a passkey for the signed-in person. */
export async function addPasskey(name: string) {
  const { challengeId, options } = (await send<Challenge>('POST', `${base}/me/passkeys/options`, {})).data;
  const o = options.publicKey ?? options;
  const made = (await navigator.credentials.create({
    publicKey: {
      ...(o as unknown as PublicKeyCredentialCreationOptions),
      challenge: bytes(o.challenge ?? ''),
      user: { ...(o.user as NonNullable<Options['user']>), id: bytes(o.user?.id ?? '') },
      excludeCredentials: described(o.excludeCredentials),
    },
  })) as PublicKeyCredential | null;
  if (!made) throw new Error('No passkey was made.');
  const response = made.response as AuthenticatorAttestationResponse;
  const credential = {
    id: made.id,
    rawId: text(made.rawId),
    type: made.type,
    response: {
      clientDataJSON: text(response.clientDataJSON),
      attestationObject: text(response.attestationObject),
      transports: response.getTransports?.() ?? [],
    },
    clientExtensionResults: made.getClientExtensionResults(),
  };
  await send('POST', `${base}/me/passkeys`, { challengeId, name, credential });
  void queryClient.invalidateQueries({ queryKey: key.passkeys });
  void queryClient.invalidateQueries({ queryKey: key.me });
}

/** Signs in with a passkey, which counts as both factors. */
export async function signInWithPasskey() {
  const { challengeId, options } = (await send<Challenge>('POST', `${base}/sessions/passkey/options`, {})).data;
  const o = options.publicKey ?? options;
  const found = (await navigator.credentials.get({
    publicKey: {
      ...(o as unknown as PublicKeyCredentialRequestOptions),
      challenge: bytes(o.challenge ?? ''),
      allowCredentials: described(o.allowCredentials),
    },
  })) as PublicKeyCredential | null;
  if (!found) throw new Error('No passkey was chosen.');
  const response = found.response as AuthenticatorAssertionResponse;
  const credential = {
    id: found.id,
    rawId: text(found.rawId),
    type: found.type,
    response: {
      clientDataJSON: text(response.clientDataJSON),
      authenticatorData: text(response.authenticatorData),
      signature: text(response.signature),
      userHandle: text(response.userHandle),
    },
    clientExtensionResults: found.getClientExtensionResults(),
  };
  await send('POST', `${base}/sessions/passkey`, { challengeId, credential });
  await startOver();
}
