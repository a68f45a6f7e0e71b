import { call, type Schema } from './client';

export type Form = Schema['CreateChallenge']['use'];

/**
 * Solves a proof of work for a form, which takes a moment. The browser derives the keys on threads
 * of its own, so the page stays responsive.
 */
export async function solve(use: Form): Promise<string> {
  if (!globalThis.crypto?.subtle)
    throw new Error('Your browser can only do this on a page with https. Ask the operator for an https address.');
  const [challenge, { solveChallenge }, { deriveKey }] = await Promise.all([
    call('post', '/api/v1/account/challenges', { body: { use } }),
    import('altcha-lib'),
    import('altcha-lib/algorithms/web/pbkdf2'),
  ]);
  const solution = await solveChallenge({ challenge, deriveKey });
  if (!solution) throw new Error('Your browser took too long. Try again.');
  return btoa(JSON.stringify({ challenge, solution }));
}
