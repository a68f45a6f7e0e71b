import { ApiError } from '../../../api/error';

/** An error of the SSH client, as the pages show errors. */
export function asSSHError(thrown: unknown): Error {
  const { code, message } = thrown as { code?: string; message?: string };
  return code && message ? new ApiError(400, code, message) : thrown instanceof Error ? thrown : new Error(`${thrown}`);
}
