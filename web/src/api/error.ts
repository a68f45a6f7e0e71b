// A failed call, with the API's code, message and request ID for every page to show.

export interface FieldError {
  field: string;
  message: string;
}

export class ApiError extends Error {
  constructor(
    /** HTTP status; 0 where no response came. */
    readonly status: number,
    readonly code: string,
    message: string,
    readonly details: Record<string, unknown> = {},
    readonly requestId: string | null = null,
    /** Seconds to wait before a retry, where the server names them. */
    readonly retryAfter: number | null = null,
  ) {
    super(message);
    this.name = 'ApiError';
  }

  /** The errors of an INVALID_REQUEST, each with its field. */
  get fields(): FieldError[] {
    const list = this.details.fields;
    return Array.isArray(list) ? (list as FieldError[]) : [];
  }

  /** Reports whether the API as a whole fails, rather than refusing this call. */
  get outage(): boolean {
    return this.status === 0 || this.status >= 500;
  }

  get signInRequired(): boolean {
    // Without the session's cookie, the API sees a call without a key.
    return this.status === 401 && (this.code === 'SIGN_IN_REQUIRED' || this.code === 'MISSING_API_KEY');
  }
}

/** Anything thrown, as an ApiError. A TypeError is fetch's: no response came. */
export function asApiError(thrown: unknown): ApiError {
  if (thrown instanceof ApiError) return thrown;
  if (thrown instanceof TypeError)
    return new ApiError(0, 'NO_ANSWER', 'The server did not respond. Check your connection and try again.');
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new ApiError(0, 'UNEXPECTED', message);
}

/** Reads the error envelope; a proxy's HTML page becomes an error too. */
export function errorOf(response: Response, body: unknown): ApiError {
  const failure = (body as { error?: { code?: string; message?: string; details?: Record<string, unknown> } })?.error;
  const retry = Number(response.headers.get('Retry-After'));
  return new ApiError(
    response.status,
    failure?.code ?? `HTTP_${response.status}`,
    failure?.message ??
      'The response did not come from Billet. A proxy between this browser and the server may have answered.',
    failure?.details,
    response.headers.get('X-Request-Id'),
    Number.isFinite(retry) && retry > 0 ? retry : null,
  );
}
